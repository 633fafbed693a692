"""Requests to stop in many words are heard, and a reply in two minds is left to the model and to people."""

import pytest

from leadjobs.leads.inbound import Channel
from leadjobs.leads.post_process.opt_out import opt_out_in

ASKED = [
    # asking how
    "How do I unsubscribe?",
    "How do I opt out of this?",
    "How do I get off this list?",
    "How do I stop getting these texts?",
    "How do I get you to stop emailing me?",
    "Where can I unsubscribe?",
    "Is there a way to opt out of these emails?",
    "What do I have to do to get off your list?",
    "Would it be possible to remove me from your list?",
    "How can we opt out?",
    "Hi, can I opt out?\n\nMaya",
    "Who is this? How do I opt out?",
    "Sounds fine, but how can we opt out of these emails?",
    "Can I please opt out?",
    # consent and rights
    "I withdraw my consent.",
    "I hereby withdraw consent",
    "I revoke any consent to receive texts",
    "I do not consent to being contacted.",
    "I never consented to this, remove me",
    "I did not give you permission to contact me, remove me.",
    "I object to the processing of my data.",
    "I exercise my right to erasure",
    "Under GDPR I request that you delete my data",
    "please remove me from your list per the CAN-SPAM act",
    # an address or a number spelled out
    "Please remove maya@x.example from your mailing list.",
    "Maya no longer works here. Please remove maya@x.example from your list.",
    "Please unsubscribe the following address: maya@x.example",
    "Take 555-0100 off your call list",
    "Stop texting 555-0100",
    # what we hold
    "Delete my information",
    "Delete my email address",
    "Please delete my data",
    "Please delete any data you hold about me",
    "Delete everything you have on me",
    "Please remove my contact info from your list",
    "I want my data deleted",
    "I request the deletion of my personal data",
    "Can you delete my information?",
    "Lose this number",
    # requests that say so
    "I request that you remove me from your list",
    "I am requesting to be removed from this list",
    "I must ask you to stop emailing me.",
    "I formally request that you stop contacting me",
    "I demand to be removed from your list",
    "This is a request to be removed from your list",
    "Please consider this my request to be removed from your list",
    "Requesting removal from your mailing list",
    "Please confirm my removal from your list",
    "Would you be so kind as to remove me from your list?",
    "Appreciate if you can take me off your list",
    "Told you to stop texting me",
    "Please note that I wish to opt out",
    # off, in other words
    "I want my name off your list",
    "Please have me removed from your list",
    "Please see to it that I'm removed from your list",
    "Please exclude me from future mailings",
    "I am opting out",
    "Please mark me as unsubscribed",
    "unsubscribe me from this",
    "I no longer want to be on your list",
    "remove us",
    "Please remove from your list",
    # the wrong one
    "You have the wrong number please stop texting",
    "u got the wrong person stop texting",
    "This is the wrong number. Please stop.",
    "Sorry, you have the wrong number. Please remove me from your list",
    "You don't have the right number. Remove me from your list.",
    # signed
    "STOP - Maya",
    "Stop — Maya Ortiz",
    "Stop.\n- Maya",
    "STOP\nMaya",
    "Unsubscribe - Maya",
    # misspelled
    "Unsubcribe",
    "unsuscribe me",
    "unsubscibe please",
    "un-subscribe",
    # angry
    "Third time asking: remove me",
    "UNSUBSCRIBE - 3rd request",
    "You keep emailing me. Please stop.",
    "Stop or I will report you",
    "stop fucking texting me",
    "For god's sake stop texting me",
    "Bro stop texting me",
    "Stop sending me this crap",
    "Take me off your list before I report you as spam",
    "Keep your spam to yourself. Remove me from your list.",
    # silence, in other words
    "Please discontinue these emails",
    "Please cease communication with me",
    "Stop reaching out to me",
    "Please stop all contact with me",
    "Stop calling me or texting me",
    "I don't want to be contacted by you",
    "I'd rather not receive these emails",
    "I want to stop getting these texts",
    "I want no further contact",
    "Please ensure I don't receive any more emails",
    # clear, whatever else is said
    "Remove me from your list. I'll contact you if we ever need this.",
    "We went with Acme instead. Please remove us from your list.",
    "I don't need a demo. Please remove me from your list.",
    "Your emails are great but please remove me from your list",
    "Please remove me from your list and send me a confirmation",
    "Remove me from your list and tell me how you got my address",
    # a reason, anger and a threat leave no way open
    "I already bought a car. Please stop texting me.",
    "We already signed with someone else. Please do not contact us again.",
    "I signed up by mistake. Please stop emailing me",
    "We went with Acme instead. Please stop emailing us.",
    "Stop calling me, I'll call you if I need you",
    "Wrong person, this is a new number for me. Remove me from your list",
    "This is a new number. Take me off your list",
    "Please remove me from your list, I have a new job and my new email is private",
    "Take me off your list. You have my other number too",
    "Remove me from your list. Here is my email: maya@x.example",
    "Remove me from your list. Put me on your blacklist",
    "Remove me from your list now. Use your brain.",
    "Remove me from your list. Keep harassing me and I will sue",
    "Please stop emailing me. Tell your boss the same.",
    "Stop messaging me. Talk to my lawyer",
    "Stop texting me. I will call the police",
    "Stop emailing me. Give it a rest.",
    "Do not contact me again. Show some respect",
    "Stop texting me!! Come on",
    "Please stop texting me, it's midnight",
    "I'm busy, stop texting me",
    "Emails are annoying. Stop emailing me",
    "Please take me off the mailing list going forward",
]

NOT_ASKED = [
    # a way that stays open
    "Take me off the call list, but keep emailing",
    "Take me off the call list. Email is better.",
    "Take me off the SMS list and email me instead",
    "Opt me out of texts but keep the emails coming",
    "Please stop calling - texting is fine",
    "Stop texting, I prefer calls",
    "stop emailing me and just call",
    "stop emailing me - call",
    "Stop texting me and pick up the phone",
    "Stop writing, start calling",
    # something else that is wanted
    "Unsubscribe me from the newsletter, but I would like the demo",
    "Unsubscribe me from the newsletter. I'd still like the demo though.",
    "Please remove me from the marketing list but I'm interested in a quote",
    "Please take me off the newsletter, I just want the product updates",
    "Please opt me out of the newsletter but let's keep talking",
    "Stop emailing, just send the invoice",
    "Delete my data and import the new list",
    # another address
    "Please delete my number. My new one is 555-0100",
    "Delete this number, I've changed phones. Text me on 555-0199",
    "Remove old@x.example from your list and add new@x.example",
    "Please delete my mobile number. You can reach me at the office: 555-0100",
    "Please stop contacting my office, here is my cell: 555-0100",
    "Stop sending these to me, send them to Bob",
    "Please take me off your list, my new email is maya@new.example",
    "Stop emailing me, call me instead",
    "Stop calling me, email me at maya@x.example",
    "Stop emailing me. Send me the brochure.",
    "Please do not email me, write to bob@x.example",
    "Stop texting me, I'd rather talk on the phone",
    "Stop texting me, I'll call you later",
    # how, how often and when
    "Stop texting me so late",
    "Please stop calling me so often",
    "Stop emailing me so much",
    "Stop sending me emails every day",
    "Stop texting me late at night",
    "Don't text me, I'm driving",
    "Don't text me right now",
    "Don't text me today",
    "Don't text me before I get to work",
    "Stop texting me, it's 2am",
    "No more emails this week please",
    # how, of others
    "How do I unsubscribe someone in your tool?",
    "How do I unsubscribe later if I don't like it?",
    "If I sign up, how do I unsubscribe?",
    "They ask me: how do I unsubscribe?",
    "How do I get my customers to stop emailing me?",
    "How do I stop my emails from going to spam?",
    "How do I opt out of the annual contract?",
    "Is there a way to unsubscribe patients in bulk?",
    "Would it be possible to remove the logo?",
    "Can you delete my data if I leave?",
    "Do you delete my data after the trial?",
    "Sounds great, how can we opt out?",
    "What is the contract length? Can we opt out?",
    # this, which is no person
    "Please take this off the list, the other two houses look great",
    "Can you remove this from the system?",
    "Please drop this from the campaign. The other ad is fine.",
    # the wrong one
    "wrong number",
    "You have the wrong number, mine is 555-0100",
    "Wrong number, but I'm interested anyway",
    "You have the wrong number on the invoice",
    "That's the wrong number of seats, we need 12",
    "You have the wrong person, talk to Bob",
    # other things to delete, leave and withdraw
    "Delete my last message",
    "Delete my email, I sent it by mistake",
    "Please delete the draft",
    "Please remove my name from the case study",
    "Remove me from the meeting invite",
    "Please remove me from this thread, Bob is taking over",
    "I withdraw my offer",
    "I do not consent to recording the call",
    "Patients withdraw their consent by text",
    "I'm opting out of the annual plan",
    "I object to the price :)",
    "I request removal of clause 4",
    "Please cancel my subscription",
    # stop, in other senses
    "Stop - you had me at hello",
    "Stop - this is great",
    "STOP - Wow!",
    "Stop lol",
    "Stop by anytime - Maya",
    "Stop if you can, it's funny",
    "Stop sending me PDFs",
    "Stop emailing Bob, he left",
    "Stop the campaign for now, budget is frozen",
    "How do we stop churn?",
]


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("text", ASKED)
def test_a_clear_request_is_heard_in_whatever_words(text: str, channel: Channel) -> None:
    """On every channel, however it is worded, spelled or signed."""
    assert opt_out_in(text, channel) is not None


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("text", NOT_ASKED)
def test_a_reply_in_two_minds_is_no_request(text: str, channel: Channel) -> None:
    """Who leaves a way open, wants something else, or speaks of other things has not asked us to stop."""
    assert opt_out_in(text, channel) is None


def test_a_reason_holds_no_address() -> None:
    """What was spelled out is named, not repeated: the reason is shown to whoever asks why."""
    reason = opt_out_in("Please remove maya@x.example from your mailing list.", Channel.EMAIL)
    assert reason == "asked to stop: 'Please remove this address from your mailing list'"
