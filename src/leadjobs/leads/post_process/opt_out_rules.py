"""The words of requests to stop: what opt_out.py looks for.

A rule is a row of words, matched against plain() text: lower case, no apostrophes, no punctuation.  "a|b" is either,
"a_b" is two words, "?" is perhaps, "*" is any number of times, "..." is anything, and capitals stand for rules of the
vocabulary.
"""

from collections.abc import Mapping
from typing import Final

VOCABULARY: Final[Mapping[str, tuple[str, ...]]] = {
    "PLEASE": ("LEAD* ASKING?",),
    "ASKING": ("ASKS LEAD*",),
    "THANKS": ("END* SOON* END* BECAUSE?",),
    "LEAD": (  # what people put before a request
        "ok|okay|no|nope|yes|so|and|but|well|also|again|just|now|then|sorry|thanks|thank_you|thx|ty|please|pls|plz",
        "kindly|simply|fuck_off|fuck_you|piss_off|go_away|enough MAILS?",
        "hi|hello|hey|dear sir|madam|team|guys|there|all|\\w+?",
        "im|i_am|we_are|were? really|just? not|no_longer interested in_this|anymore|at_all?",
        "no_thanks|no_interest|who_is_this|WRONG|LAW|COUNTED",
        "for the_love_of_god|gods_sake|fucks_sake|the_last_time",
        "you|u keep WRITING ME",
        "i? do_not|dont know_you",
        "i|we never|did_not|didnt|have_not|havent SIGNED up|in|to? for|to? this?",
    ),
    "SIGNED": (
        "sign|signed|subscribe|subscribed|opt|opted|consent|consented|agree|agreed",
        "give|gave|given you? my? consent|permission to_contact_me?",
    ),
    "WRONG": (
        "wrong number|person",
        "i_think? you|u|youve? have|got|reached|are_texting|are_calling the? wrong number|person",
        "this is the? wrong number|person",
    ),
    "LAW": ("under|per article_17? of? the? gdpr|ccpa|tcpa|can_spam|law act?",),
    "COUNTED": ("second|third|fourth|2nd|3rd|4th|final|last time|request|warning|notice asking?",),
    "UNSUBSCRIBE": ("unsub|un_?[subcr]{4,9}i[bp]|un_?[subcr]{4,9}i[bp]e",),  # however it is spelled
    "OH": ("omg|lol|dude|bro|man|seriously|honestly|enough_already", "please? note|be_advised that?"),
    "END": ("please|pls|plz|kindly|thanks|thank_you|thx|ty|cheers|already|sir|madam|guys",),
    "SOON": (
        "now|right_now|right_away|straight_away|at_once|immediately|asap|permanently|completely|for_good|forever",
    ),
    "EVER": (
        "again|ever|ever_again|anymore|any_more|further|any_further|in_future|in_the_future|going_forward",
        "from_now_on|for_good|by_any_means|in_any_way|by_phone_or_email|by_email_or_phone",
    ),
    "BECAUSE": (
        "as|because|since i|im|ive|we|were|weve|this|it|its|you|youve|youre|my|our ...",
        "or i|ill|we|well|else ...",
        "im|i_am|we_are|were? not|no_longer|never interested at_all?",
        "before i|we report|block|mark|flag|sue ...",
        "WRONG|LAW|COUNTED",
    ),
    "ASKS": (  # what makes a request of an infinitive
        "please? can|could|will|would you|u|someone guys? be_so_kind_as_to?",
        "would it be possible to",
        "you can|must|need_to|have_to|should|may",
        "i|we would|must|have_to|hereby|kindly|formally? want|need|like|ask|demand|insist|request that? you to?",
        "id|wed|i_would|we_would really? like you to",
        "im|i_am|we_are going_to? ask|asking|requesting that? you one_more_time|once_more|again? to?",
        "id|wed|i_would|we_would? be? appreciate|grateful it? if_you would|could|can",
        "it would_be great|good|nice|appreciated if_you would|could",
        "REQUEST",
        "i|we|ive|weve|i_have|we_have? already|just? asked|told|said|requested you? already|twice|before? to?",
    ),
    "WANTS": ("WISH", "MAY_I"),  # the same of one's own wish
    "MAY_I": ("can|could|may i|we",),
    "WISH": (
        "i|we? would|really|just|hereby* want|wish|need|like|prefer|ask|request|demand|choose to?",
        "id|wed really? like|prefer to?",
        "im|i_am|we_are asking|requesting to",
        "REQUEST",
        "would it be possible to",
        "i|we|ive|weve|i_have|we_have already|previously|just? asked|requested OFTEN? to",
        "MAY_I please",
    ),
    "REQUEST": (
        "this is a|my formal|final? request to",
        "please? take|treat|consider|accept this as? a|my formal|final? request to",
    ),
    "OFTEN": ("already|before|twice|repeatedly|several_times|many_times|multiple_times|three_times",),
    "HOW_TO": (
        "how|where do|can|could|may|should i|we",
        "how to",
        "what do i|we have_to|need_to do to",
        "is there a_way to",
    ),
    "ME": (
        "me|us|this_number|this_address|this_email_address|my_number|my_phone",
        "my|our company|team|business|office|practice|staff",
    ),
    "MINE": (
        "me|us",
        "this|my|our number|address|email|email_address",
        "my|our NUMBER|mobile|name|company|business|office|practice|team|DATA",
    ),
    "NUMBER": ("phone|mobile|cell|telephone? number",),
    "DATA": ("personal|contact|private|company? data|information|info|details|records|record", "contact"),
    "MY_DATA": (  # what to delete, wherever it is
        "all? of? my|our NUMBER|email_address|email_addresses|DATA",
        "this NUMBER|email_address|address",
        "all|any? of? the|my|our? DATA you have|hold|store|keep|process on|about|of|for ME",
        "everything you have|hold|store|keep|know on|about ME",
    ),
    "MAILS": (
        "email|emails|mails|message|messages|msg|msgs|text|texts|text_messages|txts|sms|newsletter|newsletters",
        "mailings|communication|communications|correspondence",
    ),
    "MORE": (
        "any|any_more|more|further|future|these|those|this|your|all|such|other|unsolicited|marketing|sales|cold|spam",
        "any_more_of|more_of|any_of these|your",
    ),
    "REMOVE": ("remove|take|delete|drop|strike|erase|get|exclude", "would_you mind? removing|taking|deleting"),
    "LIST": (
        "ALL LIST_KIND* list|lists|contacts|database|databases|records|files|system|systems|crm",
        "ALL LIST_KIND* sequence|campaign|campaigns|outreach|marketing|MAILS",
        "whatever|any|every list you_have_me_on|im_on|i_am_on",
        "everything",
    ),
    "ALL": ("all? of? your|ur|the|this|that|these|those|any|all|every|further|future",),
    "LIST_KIND": (
        "mailing|mail|email|contact|contacts|marketing|distribution|sms|texting|text|call|calling|sales|prospect",
        "prospects|prospecting|outreach|spam|newsletter|automated|cold|future|further|other|fucking|f_ing|damn|stupid",
    ),
    "DAMN": ("fucking|f_ing|damn|goddamn",),
    "ABOUT_IT": ("about|regarding|concerning this|it",),
    "STOP": ("stop|quit|cease|desist|discontinue|refrain_from",),
    "WRITING": (
        "emailing|mailing|contacting|messaging|texting|txting|calling|phoning|ringing|spamming|bothering|harassing",
        "pestering|bugging|hounding|writing|writing_to|reaching_out|reaching_out_to",
    ),
    "WRITE": (
        "contact|email|mail|message|text|txt|write_to|write|bother|bug|spam|disturb|harass|solicit|approach",
        "reach_out|reach_out_to",
    ),
    "NEVER": ("do_not|dont|never you? ever?",),
    "TO_ME": ("to|with ME",),
    "JUNK": ("this|these|those|your|more|such? stuff|crap|shit|junk|garbage|rubbish|bullshit|nonsense",),
    "NO_WISH": ("i|we? really|just? do_not|dont|no_longer|never",),
    "RATHER_NOT": ("i|we|id|wed would? rather|prefer not to?",),
    # The requests themselves.
    "OPTING": (
        "WANTS please? to? UNSUBSCRIBE",
        "WISH please? to? opt_out",
        "HOW_TO UNSUBSCRIBE",
        "i|we opt_out",
        "im|i_am|we_are opting_out",
    ),
    "FROM_LIST": ("from|of LIST|this|these|all",),
    "BEING": (
        "WANTS please? MINE? be?",
        "have MINE",
        "HOW_TO be|get ME?",
        "ensure|make_sure|see|see_to_it|confirm that? i_am|im|we_are|i_have_been|ive_been",
    ),
    "OFF": (
        "BEING removed_from|taken_off|deleted_from|off",
        "i|we? request|requesting my|immediate? removal_from",
        "im|i_am|we_are requesting my? removal_from",
        "request_for|confirm_my removal_from",
    ),
    "REMOVAL": (
        "UNSUBSCRIBE MINE|it|this",
        "UNSUBSCRIBE MINE? FROM_LIST",
        "remove|delete|erase|wipe|destroy MY_DATA",
        "REMOVE MINE|MY_DATA from|off|off_of|out_of LIST",
        "opt ME out FROM_LIST?",
        "add|put ME on|to|onto your|the|a do_not contact|email|text|call list",
        "mark|list ME as do_not contact|email|text|call",
        "mark|list ME as unsubscribed|opted_out",
        "leave ME the_hell|the_fuck? alone",
        "lose|forget|block my|this NUMBER|email_address",
        "cancel|end my|our subscription to|from ALL? LIST_KIND* list|MAILS",
    ),
    "REMOVAL_WISH": (
        "OPTING FROM_LIST?",
        "HOW_TO|MAY_I opt_out FROM_LIST",
        "OFF LIST",
        "WANTS please? be unsubscribed|opted_out|left_alone|removed",
        "WANTS my|our DATA removed|deleted|erased",
        "i|we? request|requesting the? removal|deletion|erasure of my|our DATA",
        "HOW_TO get|be removed|unsubscribed",
        "please|pls|plz|kindly UNSUBSCRIBE",
        "UNSUBSCRIBE please|pls|plz",
        "HOW_TO stop getting|receiving? this|these|those|your MAILS",
        "HOW_TO get|make you to? STOP WRITING ME",
        "HOW_TO get|make this|these|your MAILS? to? stop",
        "WITHDRAWS my|our|any|all? consent|permission FOR_THIS?",
        "i|we do_not|dont|no_longer|never consent|consented|agreed FOR_THIS",
        "i|we hereby? object to the? processing|use of my|our personal? data|information",
        "i|we hereby|want_to|would_like_to|wish_to? exercise my|our right to erasure|be_forgotten|object|opt_out",
    ),
    "WITHDRAWS": ("i|we hereby? withdraw|revoke|retract", "im|i_am|we_are hereby? withdrawing|revoking"),
    "FOR_THIS": (
        "to be|being contacted|emailed|texted|messaged|called by_you?",
        "to|for contact|contacting|email|text|call|message ME?",
        "to|for receive|get|receiving|getting? MORE* MAILS from_you?",
        "to|for the? processing|use of my|our personal? data|information",
    ),
    "SILENCE": (
        "STOP with? the? DAMN? WRITING ME? ABOUT_IT?",
        "STOP WRITING ME? or WRITING ME?",
        "STOP sending ME? MORE* MAILS TO_ME?",
        "STOP sending ME? JUNK|this|these|those|anything TO_ME?",
        "STOP with? the? MORE* MAILS|contact TO_ME?",
        "STOP the|this|your spam|spamming",
        "ensure|make_sure that? i|we do_not|dont|never receive|get MORE* MAILS from_you?",
        "NEVER WRITE ME ABOUT_IT?",
        "NEVER WRITE EVER",
        "NEVER call|text|email|contact or text|call|email|message ME",
        "NEVER call|phone|ring ME EVER",
        "NEVER send ME? MORE* MAILS",
        "NEVER send ME this|these|anything|anything_else|anything_more|any_more|any_more_of_these",
    ),
    "SILENCE_WISH": (
        "ASKS LEAD* not to? WRITE ME ABOUT_IT?",
        "NO_WISH want|wish|care|like to receive|get|see MORE* MAILS from_you?",
        "NO_WISH want|wish|care to receive|get|see any|more|any_more of? these|this|those",
        "NO_WISH want|wish to be contacted|emailed|texted|messaged|bothered by_you?",
        "NO_WISH want|wish|need to be on|part_of LIST",
        "RATHER_NOT receive|get|see MORE* MAILS from_you?",
        "RATHER_NOT be contacted|emailed|texted|messaged|bothered by_you?",
        "NO_WISH want|wish|care to hear_from you|your_company",
        "NO_WISH want MORE MORE* MAILS|contact from_you?",
        "WANTS stop|no_longer|not receiving|getting|receive|get this|these|those|your MAILS?",
        "i|we? want|wish|need? no more|further of? these|your|cold|marketing|spam? MAILS|contact from_you?",
    ),
    # Each word of the vocabulary is compiled wherever it stands: what both forms begin and end with stands once.
    "REMOVING": ("ASKING? REMOVAL", "REMOVAL_WISH"),
    "SILENCING": ("ASKING? SILENCE", "SILENCE_WISH"),
    # What asks only where it stands alone.
    "LONE": (
        "UNSUBSCRIBE|opt_out|opting_out",
        "opt_out FROM_LIST",
        "remove|delete me|us|this_number",
        "take me|us off",
        "remove my email|email_address|address|name",
        "remove|delete from ALL? LIST_KIND* list|database",
    ),
    "KEYWORD": (
        "stop|UNSUBSCRIBE|opt_out all|it|this|spam? stop* END* SOON* END* LEAD*",
        "stop or i|ill|we|well ... report|block|sue|police|lawyer|attorney|legal ...",
        "remove number? END* SOON*",
        "NEVER contact|email|text|message",
    ),
}

# Off the list: clear, unless the writer wants something else of us.
REMOVAL: Final = ("OH? LEAD* REMOVING today|going_forward|from_now_on? THANKS",)
# Write no more: not clear where the writer goes on talking beside it.
SILENCE: Final = ("OH? LEAD* SILENCING EVER* THANKS",)
# A whole sentence: in a list ("reply, unsubscribe or call") it would be a clause.
BARE: Final = ("LEAD* LONE THANKS",)
# A whole message, or one above a signature.
WHOLE: Final = ("PLEASE KEYWORD END*", "LEAD* no more THANKS", "LEAD* HOW_TO|MAY_I opt_out THANKS")
# The only one of these that may be a question: in a longer message it may be one about the contract.
WHOLE_QUESTION: Final = WHOLE[-1:]

CARRIER_WORDS: Final = frozenset({"stopall", "cancel", "end", "quit", "revoke", "optout"})
START_WORDS: Final = frozenset({"start", "unstop"})
