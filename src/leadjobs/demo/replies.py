"""The demo's people, what they answer and by which provider, and the demo's own secrets."""

from dataclasses import dataclass

ACCOUNT, NUMBER = "AC0123456789abcdef0123456789abcdef", "+447700900456"
INSTANCE, MAILBOX = "https://send.acme-outreach.example", "reply@in.acme-outreach.example"

SECRETS = {
    "twilio_secret": "demo-twilio-auth-token",
    "gohighlevel_secret": "demo-gohighlevel-token",
    "unipile_secret": "demo-unipile-secret",
    "smartlead_secret": "demo-smartlead-secret",
    "instantly_secret": "demo-instantly-token",
    "emailbison_secret": "demo-emailbison-token",
    "postmark_secret": "demo-postmark-password",
    "sendgrid_secret": "demo-sendgrid-token",
    "standard_webhooks_secret": "whsec_ZGVtby1zZWNyZXQtb2YtdGhlLWdlbmVyaWMtc291cmNl",
}
"""The settings that hold each source's secret: the demo's own, for its own server."""

SOURCES = (
    f"twilio={ACCOUNT}/{NUMBER}",
    "gohighlevel=l1C08ntBrFjLS0elLIYU",
    "unipile=dfXlh46vQYCsMbVarumWlg",
    "smartlead=acme",
    "instantly=6f0d7c52-3f0e-4c1b-9a55-1a2b3c4d5e6f",
    f"emailbison={INSTANCE}/14",
    f"postmark={MAILBOX}",
    f"sendgrid={MAILBOX}",
    f"standard-webhooks={NUMBER}",
)
"""The provider accounts of the demo's workspace, as `leadjobs workspaces set --source` takes them."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody answers, and by which provider it comes."""

    name: str
    source: str
    text: str
    title: str = ""
    company: str = ""


REPLIES = (
    Reply(
        "Maya Ortiz",
        "emailbison",
        "Yes, happy to talk. Could you call me Tuesday after 2pm? We need this before the new year and I sign for it.",
        "Practice manager",
        "BrightSmile Dental",
    ),
    Reply("Tom Becker", "twilio", "How much is it per chair? We compare two vendors this week"),
    Reply(
        "Aisha Khan",
        "postmark",
        "Interesting, but we rejected the last vendor over price and our budget is blocked until "
        "spring. Your mail sat in my spam folder, sorry! Write me again in March.",
    ),
    Reply("Luis Romero", "gohighlevel", "STOP"),
    Reply("Hanna Virtanen", "smartlead", "Please remove me from your mailing list.", "Owner", "Virtanen Hammas"),
    Reply("Priya Nair", "standard-webhooks", "Who is this?"),
    Reply("George Hill", "sendgrid", "We are a bakery, I think you have the wrong person."),
    Reply(
        "Chloe Martin",
        "instantly",
        "Send me the contract, we want to start with all six practices on Monday.",
        "Operations director",
        "Dentalys Group",
    ),
    Reply("Ines Duarte", "unipile", "Looks useful for our four clinics. What does it cost, and who else uses it?"),
)
