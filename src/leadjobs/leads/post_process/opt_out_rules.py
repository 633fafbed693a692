"""The words of requests to stop: what opt_out.py looks for.

A rule is a row of words, matched against plain() text: lower case, no apostrophes, no punctuation.  "a|b" is either,
"a_b" is two words, "?" is perhaps, "*" is any number of times, "..." is anything, and capitals stand for rules of the
vocabulary.
"""

from collections.abc import Mapping
from typing import Final

VOCABULARY: Final[Mapping[str, tuple[str, ...]]] = {
    "PLEASE": ("LEAD* ASKS? LEAD*",),
    "THANKS": ("END* SOON* END* BECAUSE?",),
    "LEAD": (  # what people put before a request
        "ok|okay|no|nope|yes|so|and|but|well|also|again|just|now|then|sorry|thanks|thank_you|thx|ty|please|pls|plz",
        "kindly|simply|fuck_off|fuck_you|piss_off|go_away|enough MAILS?",
        "hi|hello|hey|dear sir|madam|team|guys|there|all|\\w+?",
        "im|i_am|we_are|were? really|just? not|no_longer interested in_this|anymore|at_all?",
        "no_thanks|no_interest|wrong_number|wrong_person|who_is_this",
        "i? do_not|dont know_you",
        "i|we never|did_not|didnt|have_not|havent sign|signed|subscribe|subscribed|opt|opted up|in|to? for|to? this?",
    ),
    "END": ("please|pls|plz|kindly|thanks|thank_you|thx|ty|cheers|already|sir|madam|guys",),
    "SOON": (
        "now|right_now|right_away|straight_away|at_once|immediately|asap|today|permanently|completely|for_good|forever",
    ),
    "EVER": (
        "again|ever|ever_again|anymore|any_more|further|any_further|in_future|in_the_future|going_forward",
        "from_now_on|for_good",
    ),
    "BECAUSE": (
        "as|because|since i|im|ive|we|were|weve|this|it|its|you|youve|youre|my|our ...",
        "or i|ill|we|well|else ...",
        "im|i_am|we_are|were? not|no_longer|never interested at_all?",
        "you|u|youve? have|got? the? wrong number|person",
        "under gdpr|the_gdpr|ccpa",
    ),
    "ASKS": (  # what makes a request of an infinitive
        "please? can|could|will|would you|u guys?",
        "you can|must|need_to|have_to|should|may",
        "i|we would? want|need|like|ask|demand|insist that? you to?",
        "id|wed|i_would|we_would really? like you to",
        "im|i_am|we_are going_to? ask|asking you one_more_time|once_more|again? to",
        "id|wed|i_would|we_would be? appreciate|grateful it? if_you would|could",
        "i|we|ive|weve|i_have|we_have already|just? asked|told|said|requested you? already|twice|before? to?",
    ),
    "WANTS": (  # the same of one's own wish
        "i|we? would|really|just* want|wish|need|like|prefer|ask|request to?",
        "id|wed really? like|prefer to?",
        "i|we|ive|weve|i_have|we_have already|previously|just? asked|requested already|twice? to",
        "can|could|may i|we please?",
    ),
    "ME": (
        "me|us|this_number|this_address|this_email_address|my_number|my_phone",
        "my|our company|team|business|office|practice|staff",
    ),
    "MINE": (
        "me|us|this|my|our number|address|email|email_address?",
        "my|our number|phone_number|mobile|name|company|details|contact_details|data",
    ),
    "MAILS": (
        "email|emails|mails|message|messages|msg|msgs|text|texts|text_messages|txts|sms|newsletter|newsletters",
        "mailings|communication|communications|correspondence",
    ),
    "MORE": (
        "any|any_more|more|further|future|these|those|this|your|all|such|other|unsolicited|marketing|sales|cold|spam",
    ),
    "REMOVE": ("remove|take|delete|drop|strike|erase|get",),
    "LIST": (
        "ALL LIST_KIND* list|lists|contacts|database|databases|records|files|system|systems|crm",
        "ALL LIST_KIND* sequence|campaign|campaigns|outreach|MAILS",
        "whatever|any|every list you_have_me_on|im_on|i_am_on",
        "everything",
    ),
    "ALL": ("all? of? your|ur|the|this|that|these|those|any|all|every|further|future",),
    "LIST_KIND": (
        "mailing|mail|email|contact|contacts|marketing|distribution|sms|texting|text|call|calling|sales|prospect",
        "prospects|prospecting|outreach|spam|newsletter|automated|cold|future|further|other|fucking|f_ing|damn|stupid",
    ),
    "STOP": ("stop|quit|cease|desist|refrain_from",),
    "WRITING": (
        "emailing|mailing|contacting|messaging|texting|txting|calling|phoning|ringing|spamming|bothering|harassing",
        "pestering|bugging|hounding|writing_to",
    ),
    "WRITE": (
        "contact|email|mail|message|text|txt|write_to|write|bother|bug|spam|disturb|harass|solicit|approach|reach_out_to",
    ),
    "NEVER": ("do_not|dont|never you? ever?",),
    "NO_WISH": ("i|we? really|just? do_not|dont|no_longer|never",),
    # The requests themselves.
    "REMOVAL": (
        "unsubscribe MINE|it",
        "unsubscribe MINE? from LIST",
        "REMOVE MINE from|off|off_of|out_of LIST",
        "remove|delete|erase all? my|this number|phone_number|data|personal_data|details|contact_details",
        "remove|delete|erase all? my|this data|personal_data|details|contact_details from LIST",
        "opt ME out",
        "opt ME out of|from LIST",
        "would_you mind? removing|taking|deleting MINE from|off|off_of LIST",
        "ensure|make_sure that? i_am|im|we_are removed_from|taken_off|off LIST",
        "add|put ME on|to|onto your|the|a do_not contact|email|text|call list",
        "mark|list ME as do_not contact|email|text|call",
        "leave ME alone",
        "lose my number",
    ),
    "REMOVAL_WISH": (
        "WANTS please? to? unsubscribe|opt_out",
        "WANTS please? to? unsubscribe|opt_out from|of LIST",
        "WANTS please? be? removed_from|taken_off|deleted_from|off LIST",
        "WANTS please? be unsubscribed|opted_out|left_alone",
        "please|pls|plz|kindly unsubscribe|unsub",
        "unsubscribe|unsub please|pls|plz",
        "how do|can i|we unsubscribe|opt_out from|of these|your MAILS",
    ),
    "SILENCE": (
        "STOP with? the? WRITING ME? about_this|about_it?",
        "STOP sending ME? MORE* MAILS to_me|to_us?",
        "STOP sending ME? this|these|those|stuff|crap|anything",
        "STOP with? the? MORE* MAILS",
        "STOP the|this|your spam|spamming",
        "STOP all MORE* contact",
        "NEVER WRITE ME about_this|about_it?",
        "NEVER WRITE EVER",
        "NEVER call|text|email|contact or text|call|email|message ME",
        "NEVER call|phone|ring ME EVER",
        "NEVER send ME? MORE* MAILS",
        "NEVER send ME this|these|anything|anything_else|anything_more|any_more|any_more_of_these",
    ),
    "SILENCE_WISH": (
        "ASKS LEAD* not to? WRITE ME about_this|about_it?",
        "NO_WISH want|wish|care|like to receive|get|see MORE* MAILS from_you?",
        "NO_WISH want|wish to be contacted|emailed|texted|messaged|bothered",
        "NO_WISH want|wish|care to hear_from you|your_company",
        "NO_WISH want any|more|these|your MORE* MAILS from_you?",
        "no more|further MAILS|contact from_you?",
    ),
}

# Off the list: clear, whatever else is said.
REMOVAL: Final = ("PLEASE REMOVAL THANKS", "LEAD* REMOVAL_WISH THANKS")
# Write no more: not clear where the writer goes on talking beside it.
SILENCE: Final = ("PLEASE SILENCE EVER* THANKS", "LEAD* SILENCE_WISH EVER* THANKS")
# A whole sentence: in a list ("reply, unsubscribe or call") it would be a clause.
BARE: Final = (
    "LEAD* unsubscribe|unsub|opt_out|remove_me|take_me_off|delete_me THANKS",
    "LEAD* remove my email|email_address|address|name THANKS",
    "LEAD* remove|delete from LIST_KIND* list|database THANKS",
)
# A whole message, or one above an empty line and a signature.
WHOLE: Final = (
    "PLEASE stop|unsubscribe|opt_out all|it|this|spam? stop* END* SOON* END* LEAD*",
    "PLEASE remove number? END* SOON* END*",
    "LEAD* no more THANKS",
    "PLEASE NEVER contact|email|text|message END*",
)

CARRIER_WORDS: Final = frozenset({"stopall", "cancel", "end", "quit", "revoke", "optout"})
START_WORDS: Final = frozenset({"start", "unstop"})
