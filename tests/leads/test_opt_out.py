"""Requests to stop are heard; what merely sounds like one is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadjobs.leads.inbound import Channel
from leadjobs.leads.post_process.opt_out import opt_in_in, opt_out_in, plain

SMS, EMAIL = Channel.SMS, Channel.EMAIL

ASKED_IN_A_TEXT = [
    "STOP",
    "stop",
    "Stop.",
    " STOP\n",
    "STOP!!!",
    "stop 🙏",
    "\uff33\uff34\uff2f\uff30",
    "STOPALL",
    "Stop all",
    "UNSUBSCRIBE",
    "Cancel",
    "END",
    "quit",
    "REVOKE",
    "OPTOUT",
    "opt out",
    "Opt-out",
    "STOP PLEASE",
    "please stop",
    "Stop thanks",
    "ok stop",
    "just stop already",
    "stop stop stop",
    "Stop. Not interested.",
    "not interested, stop",
    "Wrong number stop",
    "STOP who is this?",
    "Who's this? STOP",
    "stop texting me",
    "Please stop texting me",
    "pls stop messaging me im not interested",
    "Wrong number, stop texting",
    "I said stop texting me!",
    "Can you stop texting me please?",
    "could u please stop calling me",
    "do not text me again",
    "Don\u2019t text me anymore",
    "dont ever contact me again",
    "No more texts please",
    "take me off your list",
    "Hi Sam please take me off this list",
    "who is this? remove me from your list",
    "Not interested. Remove me.",
    "Leave me alone",
    "lose my number",
    "Stop sending me these texts",
    "I don't want any more messages",
    "quit texting me or I'll report you",
    "Stop texting me. Text me again and I call my lawyer.",
    "For the last time, stop texting me",
    "Stop texting this number",
    "Take me off ur list",
    "Remove my number",
    "don't text this number again",
    "Don't call or text me again",
    "I told you to stop",
    "stop sms",
    "Stop contacting me u have the wrong number",
    "Fuck off stop texting me",
    "Please delete my number",
    "Stop spam",
]

ASKED_IN_A_MAIL = [
    "unsubscribe",
    "Unsubscribe me",
    "UNSUBSCRIBE!",
    '"unsubscribe"',
    "Please unsubscribe.",
    "Please unsubscribe me from this list.",
    "unsubscribe me from all of your emails immediately",
    "Unsubscribe\n\nMaya Ortiz\nPractice manager\nBrightSmile Dental",
    "Stop",
    "STOP\n\nMaya Ortiz\nPractice manager",
    "Stop\n\nSent to you by Maya",
    "Opt out",
    "Hi Sam,\n\nPlease remove me from your mailing list.\n\nThanks,\nMaya",
    "please remove me from your list",
    "Please remove me from your list, thanks.",
    "Not interested, please remove me from your database.",
    "We already have a supplier so please take us off your mailing list.",
    "I have no idea how you got my address but take me off this list immediately.",
    "Remove my email address from your records.",
    "Kindly remove me from all future mailings",
    "Would you please take me off your email list?",
    "Hello, could you remove me from your distribution list? Thank you",
    "Stop emailing me.",
    "stop e-mailing me!!",
    "Please stop contacting me about this.",
    "Please stop messaging us.",
    "Stop spamming me",
    "stop sending me your marketing emails",
    "Please stop these emails.",
    "do not contact me again",
    "Do not email me again.",
    "Don't contact me",
    "don't email us anymore, please",
    "Never email me again.",
    "Please do not send me any more emails.",
    "I never read these and please take me off your list",
    "Opt me out",
    "Please opt us out of all future emails.",
    "I would like to unsubscribe",
    "I'd like to opt out.",
    "We want to be removed from your list",
    "I wish to be unsubscribed",
    "Can I be removed from your list please?",
    "How do I unsubscribe from these emails?",
    "I don't want to receive these emails.",
    "I no longer wish to receive emails from you",
    "I do not wish to be contacted again.",
    "We don't want to hear from you again.",
    "I asked you twice to stop contacting me.",
    "I already asked you to remove me from your list!",
    "I told you not to contact me again",
    "I'd appreciate it if you would stop emailing me.",
    "You can take me off your list.",
    "Thanks but no thanks - please remove me from your list",
    "If I get one more of these I will report you. Remove me from your list.",
    "Please remove me from your list as I am retired.",
    "Dear Sam,\nThis is now the fourth mail in as many weeks and so I ask you to please stop\nemailing me.\nRegards",
    "> Hi Maya, quick question about recall bookings.\n\nPlease take me off your list.",
    "Stop emailing me.\n\nMaya Ortiz\nPractice manager\nCall us: 0113 496 0000",
    "Remove",
    "Cease and desist emailing me",
    "Please refrain from contacting me again.",
    "Not interested, don't email again.",
    "Please delete all my data from your systems under GDPR",
    "I never signed up for this, remove me",
    "Please opt me out of further communication",
    "OPT OUT",
    "Please take me off whatever list you have me on.",
    "This is the third time I've asked: remove me from your list.",
    "How many times do I have to ask? Take me off your list!",
    "Please stop emailing my team.",
    "DO NOT CONTACT",
    "Please add me to your do not contact list",
    "I want off this list",
    "Please ensure that I am removed from your list",
    "I would be grateful if you could remove me from your mailing list.",
    "Would you mind removing me from your list?",
    "Enough emails. Stop.",
]

NOT_ASKED = [
    # the everyday words on which the original went wrong
    "we rejected the last vendor, what makes you different?",
    "your mail was in my spam folder, sorry",
    "my calendar is blocked until Friday",
    "That page does not exist any more, can you resend the link?",
    "Our last campaign bounced a lot. Can you help with that?",
    "The board rejected the budget but is open to a pilot.",
    "Your domain is blocked by our firewall, use my gmail instead",
    "We get so much spam, how are you different?",
    "My number is blocked from texts, ring the office",
    # stop, in other senses
    "can you stop by on Tuesday?",
    "stop, this is exactly what we need!",
    "Stop! This is exactly what we need.",
    "Stop!\n\nThis is exactly what we need.",
    "Stop?",
    "Don't stop!",
    "please don't stop sending these, they are great",
    "We stopped using our old vendor last month.",
    "Is there a full stop missing in your quote?",
    "The bus stop is opposite our office",
    "non-stop",
    "When does the offer stop?",
    "We want to stop emailing by hand and automate it",
    "We need to stop the emails from bouncing",
    "can we stop emailing and just talk on the phone",
    "Stop emailing and call me!",
    "Please stop calling me Mike, it is Michael",
    "stop texting me at work, use my personal number",
    "I couldn't stop laughing at your subject line",
    "how do I get people to stop emailing me spreadsheets?",
    # unsubscribe and lists, in other senses
    "I don't want to unsubscribe",
    "how do your customers unsubscribe?",
    "Please don't unsubscribe me, I was just on holiday",
    "Do you handle the unsubscribe link for us?",
    "Can I unsubscribe later?",
    "How much is it, and can I cancel any time?",
    "I unsubscribed from your competitor last week",
    "I want to unsubscribe from Mailchimp and use you instead",
    "Our unsubscribe rate is 3 percent",
    "People reply, unsubscribe or complain; can you sort those?",
    "Reply unsubscribe",
    "Please do not remove me from your list",
    "please don't take me off the list, still deciding",
    "Take me off your list of maybes and sign me up",
    "Remove me from the waiting list, I'd like the paid plan now",
    "Please remove me from the invite, add Bob",
    "Put me on your list please",
    "I never asked to be removed from your list",
    "If you are an agency, remove me from your list",
    "Don't give up and remove me from your list yet",
    'A customer wrote "remove me from your list" and we lost the deal',
    "A customer said, stop emailing me, and we lost him. Can you prevent that?",
    "What happens when somebody replies: stop emailing me?",
    "Should I tell them to stop emailing us?",
    "Why would anyone opt out?",
    "We have an opt out page already",
    "Yes! Call me tomorrow.\n\nUnsubscribe",
    "Sounds good.\nWhen are you free?\nI can do Monday.\nMaya Ortiz\nUnsubscribe",
    "Privacy policy | Unsubscribe | View in browser",
    "To unsubscribe from our newsletter, click here.",
    "Sure.\n> Reply STOP to opt out\n> unsubscribe",
    # not now, not like this
    "don't email me, call me",
    "Don't email me. Call me on 0113 496 0000.",
    "please don't text me, email is better",
    "Please don't contact me until January",
    "Don't contact me before 9",
    "On weekends, please don't text me",
    "please don't text me while I'm driving",
    "Don't contact me, I'll contact you",
    "When I'm in surgery, don't text me",
    "Don't email me about pricing, just send the contract",
    "Please do not contact my colleague, I decide this",
    "I don't want any spam, but a demo would be good",
    "I don't want any calls, email is fine",
    "no more emails than necessary please",
    "If it costs more than 500, stop contacting me",
    "I will take you off my list of vendors if this fails",
    # refusals and everything else: for the model to judge
    "not interested",
    "No thanks",
    "no",
    "We went with someone else.",
    "Wrong person, try Maya",
    "Yes call me tomorrow at 3",
    "YES",
    "HELP",
    "Can you end the call by 4?",
    "Cancel my appointment on Friday",
    "please cancel",
    "quitting time here is 5",
    "The end of the month works",
    "Delete my last email, wrong attachment",
    "Leave me your number",
    "My colleague will be in contact. Remove the cc though",
    "Don't stop following up, I'm just slammed",
    "Do not contact Bob, contact me",
    "Please do not hesitate to contact me",
    "don't hesitate to email me",
    "Never got your email, please send again",
    "You never emailed me the quote",
    "Don't forget to email me the deck",
    "Do not call before Tuesday",
    "Please don't call me, email me the details",
    "Don't text, I'm in a meeting. Will call later",
    "I can't talk now, don't call",
    "Do you remove people who opt out?",
    "How does opt out work with your tool?",
    "Remove the setup fee from your list price and we have a deal",
    "Take 10% off your list price",
    "Can you take this off my plate?",
    "Please remove Bob from the thread",
    "Can you get me on your list for the beta?",
    "I lost my number, new one is 07700 900999",
    "Please don't drop me from your list",
    "Did I unsubscribe by accident? I still want the emails",
    "I accidentally unsubscribed, please resubscribe me",
    "My boss wants me to unsubscribe but I like your stuff",
    "The unsubscribe link is broken on your site",
    "If I'm not interested I'll unsubscribe",
    "I'll unsubscribe if this is a robot",
    "Our patients text STOP by mistake, can you handle that?",
    'do we have to say "reply STOP" in each text?',
    "do your texts say reply STOP to opt out?",
    "No need to stop",
    "No, don't stop",
    "We don't want to stop emailing our patients",
    "Our patients tell us to stop emailing them",
    "My patients complain: stop texting me",
    "cancel the other contract first then we can talk",
    "Quit my job, now at Acme, still interested",
    "I revoke my earlier no, let's talk",
    "we don't need more emails, we need more patients",
    "I don't need any more emails to decide, just send the contract",
    "No more emails needed, I'm sold",
    "No more messages, let's meet",
    "Sorry I don't want to bother you, but is it GDPR compliant?",
    "I don't want to receive the invoice before March",
    "I do not want to hear from Bob, I want to hear from you",
    "I don't want to hear from you later than Friday",
    "Stop in any time",
    "Please don't email me at work, use maya@home.example",
    "Send me no more than one email per week",
    "please stop sending these to Bob and send them to me",
    "I need you to stop emailing Bob",
    "Stop emailing me at the old address please, this one is better",
    "You can stop emailing me now, I've signed the contract!",
    "Please stop the campaign on Friday and restart Monday",
    "Delete my account? no way",
    "remove my name from the quote and put Bob's",
    "My name is on your list twice, remove one",
    "Don't give up on us and remove me from your list",
    "Stop emailing me?",
    "Remove me from your list?",
    "Unsubscribe?",
    'Half of them are angry, "remove me from your list", and so on',
    "Here is what we hear every day: stop texting me",
    "",
    "👍",
    "?",
]


@pytest.mark.parametrize("text", ASKED_IN_A_TEXT)
def test_a_text_message_that_asks_to_stop_is_heard(text: str) -> None:
    """A carrier's keyword or a clear sentence in a text message is a request to stop."""
    assert opt_out_in(text, SMS) is not None


@pytest.mark.parametrize("text", ASKED_IN_A_MAIL)
def test_a_mail_that_asks_to_stop_is_heard(text: str) -> None:
    """A clear sentence in an e-mail is a request to stop."""
    assert opt_out_in(text, EMAIL) is not None


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("text", NOT_ASKED)
def test_words_that_only_sound_like_it_are_no_request(text: str, channel: Channel) -> None:
    """On no channel does an everyday sentence count as a request to stop."""
    assert opt_out_in(text, channel) is None


@pytest.mark.parametrize("text", ["CANCEL", "End", "quit", "Revoke", "STOPALL", "optout"])
def test_a_carriers_keyword_means_nothing_in_a_mail(text: str) -> None:
    """A mail that says "Cancel" is about a meeting, not about consent."""
    assert opt_out_in(text, EMAIL) is None
    assert opt_out_in(text, SMS) is not None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("STOP", "asked to stop: 'STOP'"),
        (" Stop. \n", "asked to stop: 'Stop'"),
        ("Hi Sam, please remove me from your list. Thanks", "asked to stop: 'please remove me from your list'"),
        ("Unsubscribe.\n\nMaya", "asked to stop: 'Unsubscribe'"),
    ],
)
def test_the_reason_quotes_the_words_that_asked(text: str, reason: str) -> None:
    """A person can see from the reason why the rule spoke."""
    assert opt_out_in(text, EMAIL) == reason


def test_a_long_request_is_quoted_in_part() -> None:
    """The reason stays short, however long the sentence is."""
    reason = opt_out_in(f"Please remove me from your list because I {'really ' * 20}mean it", EMAIL)
    assert reason is not None
    assert reason.endswith("...'")
    assert len(reason) < 110


@pytest.mark.parametrize("text", ["START", "start.", " Unstop\n"])
def test_start_takes_an_opt_out_back(text: str) -> None:
    """The carriers' words for starting again are heard in text messages, and only there."""
    words = text.strip(" .\n")
    assert opt_in_in(text, SMS) == f"asked to start again: '{words}'"
    assert opt_in_in(text, EMAIL) is None


@pytest.mark.parametrize(
    "text", ["YES", "Yes please", "Start?", "start on Monday", "let's start", "restart", "", "STOP"]
)
def test_nothing_else_takes_an_opt_out_back(text: str) -> None:
    """A YES may answer any question: it starts nothing."""
    assert opt_in_in(text, SMS) is None


@given(st.text())
def test_any_text_gets_an_answer(text: str) -> None:
    """No text makes the rules raise, and none is both a request to stop and one to start."""
    for channel in Channel:
        assert opt_out_in(text, channel) is None or opt_in_in(text, channel) is None


@given(st.text())
def test_plain_text_is_plain(text: str) -> None:
    """What the rules match against has words and single spaces only, and is plain already."""
    assert plain(plain(text)) == plain(text) == " ".join(plain(text).split())
