"""How an e-mail's text is cut: what a person wrote stays, and what mail programs put below it goes."""

import timeit
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadjobs.channels.email_text import from_mail_system, html_to_text, own_words

HISTORY = {
    "gmail": "Yes.\n\nOn Sun, Nov 22, 2026 at 10:00\u202fAM Sam <sam@x.example>\nwrote:\n\n> Hi Maya\n> unsubscribe",
    "gmail without marks": "Yes.\n\nOn Sun, Nov 22, 2026 at 10:00 AM Sam <s@x.example> wrote:\nHi Maya\nunsubscribe",
    "apple": "Yes.\n\n> On 22 Nov 2026, at 10:00, Sam <s@x.example> wrote:\n> \n> Hi",
    "on one line": "Yes. On Sun, 22 Nov 2026, 10:00 Sam Reid, <sam@x.example> wrote: Hi Maya",
    "outlook": "Yes.\n\n________________\nFrom: Sam <s@x.example>\nSent: Sunday\nTo: Maya\nSubject: Re\n\nHi",
    "outlook bold": "Yes.\n\n*From:* Sam\n*Sent:* Sunday\n*To:* Maya\n*Subject:* Re\n\nHi",
    "outlook on one line": "Yes. From: Sam <s@x.example> Sent: Sunday To: Maya Subject: Re Hi",
    "old outlook": "Yes.\n\n-----Original Message-----\nFrom: Sam\nHi",
    "forwarded": "Yes.\n\n---------- Forwarded message ---------\nFrom: Sam",
    "forwarded by apple": "Yes.\n\nBegin forwarded message:\n\nFrom: Sam",
    "german": "Yes.\n\nAm 22.11.2026 um 10:00 schrieb Sam Reid <s@x.example>:\n> Hi",
    "german outlook": "Yes.\n\nVon: Sam\nGesendet: Sonntag\nAn: Maya\nBetreff: AW\n\nHi",
    "french": "Yes.\n\nLe dim. 22 nov. 2026 à 10:00, Sam <s@x.example> a écrit :\nHi",
    "spanish": "Yes.\n\nEl dom, 22 nov 2026 a las 10:00, Sam (<s@x.example>) escribió:\nHi",
    "dutch": "Yes.\n\nOp zo 22 nov. 2026 om 10:00 schreef Sam <s@x.example>:\nHi",
    "dutch, a name with a small word": "Yes.\n\nOp 2 nov 2026 schreef De Vries <s@x.example>:\nHi",
    "spanish outlook": "Yes.\n\nDe: Sam\nEnviado el: lunes, 2 de noviembre\nPara: Maya\nAsunto: RE: Re\n\nHi",
    "portuguese outlook": "Yes.\n\nDe: Sam\nEnviada em: segunda-feira\nPara: Maya\nAssunto: RES: Re\n\nHi",
    "phone": "Yes.\n\nSent from my iPhone\n\n> On 22 Nov 2026, Sam wrote:\n> Hi",
    "carriage returns": "Yes.\r\n\r\n> Hi\r\n",
    "zoho": "Yes.\n\n---- On Mon, 02 Nov 2026 10:15:30 +0000 Sam <s@x.example> wrote ----\n\nHi",
    "zoho today": "Yes.\n\n---- On Mon, 02 Nov 2026 10:15:30 +0000 s@x.example wrote ---\nHi",
    "zoho on one line": "Yes. ---- On Mon, 02 Nov 2026 10:15:30 +0000 Sam <s@x.example> wrote ---- Hi",
    "zoho in german": "Yes.\n\n---- Am Mo, 02 Nov 2026 10:15:30 +0000 Sam <s@x.example> schrieb ----\nHi",
    "163": 'Yes.\n\nAt 2026-11-02 10:15:00, "Sam" <s@x.example> wrote:\nHi',
    "notes": "Yes.\n\nFrom:\tSam Reid/ACME\nTo:\tMaya\nDate:\t11/02/2026 10:15 AM\nSubject:\tRe\n\nHi",
    "notes on the web": "Yes.\n\n-----Sam Reid/ACME wrote: -----\nTo: Maya\nHi",
    "notes on the web in french": "Yes.\n\n-----Sam Reid/ACME a écrit : -----\nA : Maya\nHi",
    "html of outlook": "Yes.\n\nFrom: Sam\n\nSent: Sunday\n\nTo: Maya\n\nCc: Bob\n\nSubject: Re\n\nHi",
    "swedish": "Yes.\n\nDen mån 2 nov. 2026 kl 10:15 skrev Sam <s@x.example>:\nHi",
    "swedish outlook": "Yes.\n\nFrån: Sam\nSkickat: den 2 november 2026\nTill: Maya\nÄmne: Re\n\nHi",
    "danish": "Yes.\n\nDen man. 2. nov. 2026 kl. 10.15 skrev Sam <s@x.example>:\nHi",
    "danish outlook": "Yes.\n\nFra: Sam <s@x.example>\nSendt: 2. november 2026 10:15\nTil: Maya\nEmne: Re\n\nHi",
    "danish apple": "Yes.\n\nFra: Sam\nEmne: Re\nDato: 2. november 2026\nTil: Maya\n\nHi",
    "old danish outlook": "Yes.\n\n-----Oprindelig meddelelse-----\nFra: Sam\nHi",
    "norwegian": "Yes.\n\nman. 2. nov. 2026 kl. 10:15 skrev Sam <s@x.example>:\nHi",
    "norwegian apple": "Yes.\n\n2. nov. 2026 kl. 10:15 skrev Sam <s@x.example>:\nHi",
    "norwegian outlook": "Yes.\n\nFra: Sam\nSendt: mandag 2. november 2026 10:15\nTil: Maya\nEmne: SV: Re\n\nHi",
    "old norwegian outlook": "Yes.\n\n-----Opprinnelig melding-----\nFra: Sam\nHi",
    "polish": "Yes.\n\npon., 2 lis 2026 o 10:15 Sam Reid <s@x.example> napisał(a):\nHi",
    "polish over two lines": "Yes.\n\npon., 2 lis 2026 o 10:15 Sam Reid <s@x.example>\nnapisał(a):\n\n> Hi",
    "polish thunderbird": "Yes.\n\nW dniu 2.11.2026 o 10:15, Sam Reid pisze:\n> Hi",
    "polish apple": "Yes.\n\nWiadomość napisana przez Sam <s@x.example> w dniu 2 lis 2026, o godz. 10:15:\n> Hi",
    "polish outlook": "Yes.\n\nOd: Sam\nWysłano: poniedziałek, 2 listopada 2026 10:15\nDo: Maya\nTemat: Re\n\nHi",
    "finnish": "Yes.\n\nma 2. marrask. 2026 klo 10.15 Sam Reid (s@x.example) kirjoitti:\nHi",
    "finnish apple": "Yes.\n\nSam Reid <s@x.example> kirjoitti 2.11.2026 kello 10.15:\n> Hi",
    "finnish outlook": "Yes.\n\nLähettäjä: Sam\nLähetetty: maanantai 2. marraskuuta 2026\nVastaanottaja: Maya\n"
    "Aihe: Re\n\nHi",
    "chinese": "Yes.\n\nSam Reid <s@x.example> 于2026年11月2日周一 10:15写道：\nHi",
    "chinese on one line": "Yes. Sam Reid <s@x.example> 于2026年11月2日周一 10:15写道： Hi",
    "chinese apple": "Yes.\n\n> 在 2026年11月2日，10:15，Sam <s@x.example> 写道：\n> Hi",
    "chinese outlook": "Yes.\n\n发件人: Sam <s@x.example>\n发送时间: 2026年11月2日 10:15\n收件人: Maya\n主题: Re\n\nHi",
    "chinese outlook, wide": "Yes.\n\n发件人：Sam\n日期：星期一, 2026年11月2日\n收件人：Maya\n主题：Re\n\nHi",
    "traditional chinese": "Yes.\n\n寄件者: Sam\n寄件日期: 2026年11月2日\n收件者: Maya\n主旨: Re\n\nHi",
    "chinese, a name beside the verb": "Yes.\n\n在 2026年11月22日，张三写道：\nHi",
    "danish thunderbird": "Yes.\n\nDen 22/11/26 10:00, Sam Seller skrev:\nHi",
    "danish, the verb last": "Yes.\n\nDen 22/11/2026 kl. 10.00, Sam Seller <s@x.y> skrev:\nHi",
    "german, wrapped": "Yes.\n\nAm So., 22. Nov. 2026 um 10:00 Uhr schrieb Sam Seller <\ns@x.example>:\n\nHi",
    "swedish, wrapped": "Yes.\n\nDen sön 22 nov. 2026 kl 10:00 skrev Sam Seller <\ns@x.example>:\n\nHi",
    "dutch, wrapped": "Yes.\n\nOp zo 22 nov 2026 om 10:00 schreef Sam Seller <\ns@x.example>:\n\nHi",
    "french, wrapped": "Yes.\n\nLe dim. 22 nov. 2026 à 10:00, Sam Seller <s@x.example> a\nécrit :\n\nHi",
    "italian, wrapped": "Yes.\n\nIl giorno dom 22 nov 2026 alle ore 10:00 Sam <s@x.example> ha\nscritto:\n\nHi",
    "gmx": "Yes.\n\nGesendet: Sonntag, 22. November 2026\nVon: Sam <s@x.example>\nAn: Maya\nBetreff: Re\nHi",
    "german yahoo": "Yes.\n\nAm Sonntag, 22. November 2026 um 10:00 hat Sam <s@x.example> Folgendes geschrieben:\n\nHi",
    "dutch apple": "Yes.\n\nOp 22 nov. 2026, om 10:00 heeft Sam <s@x.example> het volgende geschreven:\n\nHi",
    "german, the name first": "Yes.\n\nSam Reid <s@x.example> schrieb am So., 22. Nov. 2026, 10:00:\n\nHi",
    "swedish, the name first": "Yes.\n\nSam Reid <s@x.example> skrev den 22. nov. 2026:\nHi",
    "qq": "Yes.\n\n------------------ 原始邮件 ------------------\n发件人: Sam\nHi",
}


@pytest.mark.parametrize("text", HISTORY.values(), ids=HISTORY)
def test_quoted_history_is_cut(text: str) -> None:
    """What mail programs put below a reply is not the reply."""
    assert own_words(text) == "Yes."


KEPT = {
    "below": ("> Hi Maya\n> two questions\n\nYes to both.", "Yes to both."),
    "between": ("On 22 Nov 2026, Sam <s@x.example> wrote:\n> one?\n\nYes.\n\n> two?\n\nNo.", "Yes.\n\n\nNo."),
    "a date": ("On Tuesday 24 Nov 2026 I am free.\nCall me.", None),
    "our words": ("On 22 Nov 2026 you wrote: we can help. Can you?", None),
    "a story": ("On Monday my boss wrote: buy it.", None),
    "an earlier On": ("On Tuesday?\n\nOn 22 Nov 2026 Sam <s@x.example> wrote:\nHi", "On Tuesday?"),
    "a route": ("From: Leeds\nTo: York\nHow much?", None),
    "a dash": ("Two things - price - date.\n\n--\nMaya", None),
    "greater": ("We have > 5 sites", None),
    "a route on a date": ("From: Leeds\nTo: York\nDate: 3 Nov 2026\nHow much?", None),
    "a route in danish": ("Fra: Odense\nTil: Aarhus\nDato: 3. nov. 2026\nHvad koster det?", None),
    "a route in polish": ("Od: Kraków\nDo: Gdynia\nData: 3 lis 2026\nIle?", None),
    "a dash after wrote": ("As Maya wrote - we start on 2 Nov 2026.\nFine?", None),
    "dashes after wrote": ("On 2 Nov 2026 Maya wrote --- and I agree --- that we start.\nFine?", None),
    "words above dashes": ("Hi.\nOn 2 Nov 2026 Maya wrote --- and I agree --- that we start.\nFine?", None),
    "words above our words": ("Hi.\nOn 22 Nov 2026 you wrote: we can help. Can you?", None),
    "dashes before on": ("---- On 2 Nov 2026 we start ----\nFine?", None),
    "dashes and a story": ("--- as Maya wrote: --- we start in 2026", None),
    "my words in german": ("Am 2.11.2026 schrieb ich Ihnen: es passt.\nUnd?", None),
    "our words in danish": ("Den 2. nov. 2026 skrev du: vi kan hjælpe.\nHvordan?", None),
    "a story in norwegian": ("2. nov. 2026 skrev sjefen min: kjøp.", None),
    "our words in polish": ("W dniu 2.11.2026 napisałeś: pomożemy.\nJak?", None),
    "a story in polish": ("Szef napisał: kup to do 2 lis 2026.", None),
    "a story in finnish": ("2.11.2026 pomo kirjoitti: osta.", None),
    "a name and a story in finnish": ("Kysy Sam <s@x.example>. Hän kirjoitti minulle: osta.", None),
    "nothing but a story on a date": ("On 3 May 2026 your boss Tom wrote: you never sell data. Remove me.", None),
    "nothing but a story in polish": ("W dniu 3 maja 2026 pisze: tak. Prosze o telefon", None),
    "nothing but a story in chinese": ("在2026年的报告里 他们 写道：很好。请给我打电话", None),
    "sent by a person": ("Sent from my work account: please unsubscribe me.", None),
    "sent by a person, two sentences": ("Sent from my side already. Call me?", None),
    "my words in full in german": ("Am 2.11.2026 habe ich Folgendes geschrieben: es passt.\nUnd?", None),
    "a day sent": ("Sent: 3 May\nFrom: Leeds\nHow much?", None),
    "a story in chinese": ("老板写道：2026年买。", None),
}


@pytest.mark.parametrize(("text", "expected"), KEPT.values(), ids=KEPT)
def test_their_own_words_are_kept(text: str, expected: str | None) -> None:
    """Answers below and between quotes stay, and so does what only looks like history."""
    assert own_words(text) == (expected.replace("\n\n\n", "\n\n") if expected else text)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two<br>Three</p>", "One\n\nTwo\nThree"),
        ("One<br><br>Two", "One\n\nTwo"),
        ("plain &lt;b&gt; &amp; &nbsp;more", "plain <b> & more"),
        ("<head><title>T</title><style>p{}</style></head><body>Hi<script>x('</p>')</script></body>", "Hi"),
        ("<title>never closed<body>Hi", "Hi"),
        ("Yes<blockquote>old<blockquote>older</blockquote></blockquote>No", "Yes\n> old\n> older\nNo"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a\nb"),
        ("a < b and c > d", "a < b and c > d"),
        ("Hi <b unclosed", "Hi"),
        ("Hi<!-- a comment -->", "Hi"),
        ("<![if mso]>Hi<![endif]>", "Hi"),
        ("", ""),
    ],
)
def test_html_becomes_its_visible_text(html: str, text: str) -> None:
    """Blocks are lines, quotes are marked, and what nobody sees is left out."""
    assert html_to_text(html) == text


def test_the_quote_of_gmails_html_is_cut() -> None:
    """HTML goes the same way as text: to lines, and then without its history."""
    html = (
        '<div>Yes.</div><br><div class="gmail_quote"><div>On Sun, Nov 22, 2026 at 10:00 AM Sam &lt;'
        '<a href="mailto:s@x.example">s@x.example</a>&gt; wrote:<br></div><blockquote>Hi<br>unsub</blockquote></div>'
    )
    assert own_words(html_to_text(html)) == "Yes."


@given(
    st.text()
    | st.lists(st.sampled_from(["<![", "<!--", "]]>", "<a ", ">", "</", "&#x", "On 2026 wrote:", "\n"])).map("".join)
)
def test_any_text_can_be_cut(text: str) -> None:
    """No text and no markup makes the cutting raise."""
    assert not own_words(html_to_text(text)).startswith("\n")
    assert len(own_words(text)) <= len(text)


@pytest.mark.parametrize(
    "piece",
    [
        "-",
        "---- ",
        "---- On ",
        "-----a",
        "-----a wrote: ",
        "On ",
        "On 2026 a ",
        "On 2026 you wrote: ",
        "2. nov. 2026 ",
        "man. 2. nov. 2026 skrev a ",
        "2. ",
        "W dniu 2.11.2026 o ",
        "pon., ",
        "a ",
        "a <a@b> ",
        "<a@b> 于2026年",
        "于2026年",
        ". a <bbb>于",
        "\na <bbb> skrev den ",
        "Am <\n",
        "Am 2026 schrieb a <\n",
        "Sent:\n",
        "sent from my a a a a a a a\n",
        "在 ",
        "写道",
        "From: Sent: ",
        "From:\n",
        "Fra:\nSendt:\n",
        "\n",
        "a\n",
    ],
)
def test_a_long_text_costs_no_more_than_its_length(piece: str) -> None:
    """Whatever 50,000 characters repeat, they are cut in a moment: this runs in the webhook itself."""
    text = (piece * 50_000)[:50_000]
    took = timeit.repeat(lambda: own_words(text), timer=process_time, number=1, repeat=3)
    assert min(took) < 0.3


@pytest.mark.parametrize(
    "piece",
    [
        "a " * 30 + "<" + "b " * 50 + ">于 " + ("a " * 30 + "<" + "b " * 49) * 2,
        "a-" * 30 + "<bbb> kirjoitti 1" + " a" * 30 + "<" + "b" * 100 + " a" * 30 + "<" + "b" * 60,
    ],
    ids=["chinese", "finnish"],
)
def test_what_might_be_many_names_costs_no_more_than_its_length(piece: str) -> None:
    """Nor do as many characters as are read: when each word could start a name, they took three seconds."""
    text = (piece * 500_000)[:500_000]
    took = timeit.repeat(lambda: own_words(text), timer=process_time, number=1, repeat=3)
    assert min(took) < 0.5


@pytest.mark.parametrize("address", ["MAILER-DAEMON@x.example", " postmaster@x.example", "mailer-daemon"])
def test_mail_systems_are_known_by_their_name(address: str) -> None:
    """Bounces come from these names whatever the domain."""
    assert from_mail_system(address)
    assert not from_mail_system(f"x{address.strip()}")
