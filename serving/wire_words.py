"""What every field and every word on the wire means, for `/docs`; `serving.openapi` puts it beside the types."""

from __future__ import annotations

#: Why nothing was done without a choice.
REASONS = {
    "unknown_customer": "nobody has heard of this customer",
    "holdout": "the customer is kept from all actions, to measure the programme as a whole",
    "empty_catalogue": "the catalogue has no actions",
    "unknown_channel": "the catalogue has none of the channels asked for",
    "no_eligible_action": "no action was allowed now; defer_until may say when to ask again",
    "deadline_exceeded": "the time budget was over before anything could be weighed",
    "incumbent_not_allowed": "the incumbent's choice was not allowed (apprentice mode)",
}
#: What was missing, where a decision was made with what was left.
FALLBACK_REASONS = {
    "features_stale": "the feature store does not answer: the customer's features as last read",
    "features_unavailable": "the feature store does not answer, or there is none",
    "features_missing": "this customer has no features yet",
    "features_too_old": "the customer's features are older than feature_max_age_days",
    "features_from_the_future": "the customer's features are of a moment more than 5 minutes ahead of this clock",
    "no_model": "no bundle was released yet, or one without any model",
    "no_propensity_model": "no model of responses was released: every arm is given the same rate",
    "no_churn_model": "an expression asks for score.churn, and no such model was released: its base rate stands in",
    "no_conversion_model": "the same of score.conversion",
    "deadline_exceeded": "the time budget was over before scoring",
}
#: Codes of errors, by status.
CODES = {
    "400": ("malformed_json", "malformed_encoding", "duplicate_key", "hung_up"),
    "404": ("unknown_decision", "unknown_content", "not_found"),
    "405": ("method_not_allowed",),
    "409": ("conflict", "outcome_id_taken", "event_id_taken"),
    "413": ("too_large",),
    "415": ("unsupported_encoding",),
    "422": ("invalid_value", "in_the_future", "before_the_decision", "unknown_channel"),
    "429": ("slow_down",),
    "500": ("internal",),
    "503": ("not_ready", "ledger_busy", "ledger_full", "ledger_read_only", "ledger_unavailable", "no_data"),
}
STATUSES = {
    "400": "Not JSON, or not packed as it says",
    "404": "Nobody knows this id or address",
    "409": "This id was used for something else",
    "413": "Larger than max_body_bytes, as it comes or unpacked",
    "415": "Packed in a way that is not unpacked here",
    "422": "JSON, but not what fits; `field` says where",
    "429": "Too many requests of this customer at once; `retry-after` says when to try again",
    "500": "A fault of the service; nothing was acknowledged, so the same may be sent again",
    "503": "Starting, stopping, or the ledger cannot be written; `retry-after` says when to try again",
}

_OUTCOME_ID = "Yours, unique: the same outcome told again counts once; used for another one it is 409"
_RANK = "Which place of the answer it is about"
#: Component -> what it is under "", and what each of its fields is.
FIELDS: dict[str, dict[str, str]] = {
    "DecideRequest": {
        "": "Who is to be decided for, and what may be shown where",
        "request_id": "Yours, unique for each decision: the same request again gets the same bytes again (header "
        "segue-replayed: true), another request with it 409. The order of keys and 1 for 1.0 make no other request",
        "customer_id": "Who is decided for, as events and imports name them",
        "channels": "The channels that could carry something now; null for all (see GET /v1/catalogue)",
        "placement": "The place on a page or screen; actions made for other placements are left out",
        "limit": "How many places to fill; the answer has at most so many items",
        "intent": "What the customer came for; it weighs groups and actions as the catalogue says",
        "context": "What is known of this moment; the catalogue's conditions see it as `context.`",
        "explain": "Whether the answer holds every candidate and a summary in words",
        "incumbent": "What whoever decided so far would do; in apprentice mode that is the answer",
        "dry_run": "A look: answered as without it, marked, and nothing is written: no decision, no contact, and the "
        "request id stays free. One that was answered before gets that answer",
    },
    "Incumbent": {
        "": "The choice of whoever decided so far",
        "action": "Its action; do_nothing for none",
        "channel": "Its channel; not needed for do_nothing",
    },
    "ShownRequest": {
        "": "An item was displayed or delivered",
        "decision_id": "The decision that was answered",
        "rank": _RANK,
        "shown_at": "When; now, if left out",
    },
    "OutcomeMessage": {
        "": "What the customer did: name the decision, or customer and action; an opt-out may name a customer alone",
        "outcome_id": _OUTCOME_ID,
        "kind": "What happened; failed means that it could not be delivered",
        "occurred_at": "When, at most five minutes ahead of now",
        "decision_id": "The decision it is about",
        "rank": _RANK,
        "customer_id": "Whose outcome it is, where no decision is named",
        "action": "The action it is about, where no decision is named",
        "channel": "The decision's channel; where none is named: which it was, if that is known. An opt-out that names "
        "neither decision nor channel is one from all channels",
        "value": "Money, where it was worth some",
    },
    "OutcomesRequest": {
        "": "Up to 1,000 outcomes at once",
        "outcomes": "Each is taken or refused by itself; where one has not the form of these fields, none is taken",
    },
    "EventMessage": {
        "": "Something a customer did anywhere",
        "event_id": "Yours, unique: the same event told again counts once",
        "type": "What it was: purchase, session, product_view, cart, login, ... or a word of your own",
        "occurred_at": "When, at most five minutes ahead of now",
        "customer_id": "Whose event it is; one first heard of here becomes known",
        "anonymous_id": "A visitor without a name, where there is no customer_id",
        "source": "Where it comes from",
        "channel": "The channel it happened on",
        "value": "Money of a purchase or a refund, score of a satisfaction",
        "properties": "Whatever else is to be kept with it",
    },
    "EventsRequest": {
        "": "Up to 1,000 events at once",
        "events": "Each is taken or refused by itself; where one has not the form of these fields, none is taken",
    },
    "Error": {"": "The one shape of every error", "error": "What is wrong, where, and what to do"},
    "ErrorDetail": {
        "code": "A word for programs, which stays",
        "message": "A sentence for people, which may change",
        "field": "Where in the request, if it is about one place",
    },
    "Accepted": {"": "Taken", "accepted": "How many"},
    "Taken": {
        "": "What became of each",
        "accepted": "Taken now",
        "duplicates": "Told before; they change nothing",
        "rejected": "Not taken, with id, code and message",
    },
    "Heard": {
        "": "What became of each outcome",
        "accepted": "Taken now",
        "duplicates": "Told before; they change nothing",
        "rejected": "Not taken, with id, code and message",
        "unattributed": "Taken, but they belong to no decision; each with the reason",
    },
    "Unattributed": {"outcome_id": "Yours", "reason": "Why no decision was found"},
    "Explanation": {
        "": "How a decision came about; every field of its record, and these",
        "candidates": "Every arm: what removed it, the value seen and the limit, or what it was worth",
        "summary": "The same in sentences",
    },
    "Item": {
        "": "One place of the answer",
        "rank": "Which place, from 1",
        "action": "The action of the catalogue, or do_nothing",
        "channel": "The channel that carries it; null for do_nothing",
        "content": "The key of what to show there; GET /v1/content/{key} has it where the catalogue keeps it",
        "action_probability": "The exact probability with which this was drawn, given the places before",
        "p_accept": "The probability that the customer responds",
        "expected_value": "Money expected of it, less its cost",
        "priority": "What it was ranked by",
        "expires_at": "Until when it may be shown; then its contact is free again",
    },
    "Versions": {
        "bundle": "The models, null before any were released",
        "policy": "The rule of drawing, and the number of what it has learned",
        "catalogue": "The catalogue, as GET /v1/catalogue names it",
    },
    "Answer": {
        "": "A decision",
        "decision_id": "Names it for /v1/shown, /v1/outcomes and /v1/decisions/{decision_id}; null in a look",
        "request_id": "Yours",
        "customer_id": "Yours",
        "decided_at": "When",
        "items": "The places in order; at least one, if only do_nothing",
        "result": "Whether there is something to show",
        "reason": "Why nothing was done without a choice: " + "; ".join(f"{k}: {v}" for k, v in REASONS.items()),
        "fallback_reason": "What was missing: " + "; ".join(f"{k}: {v}" for k, v in FALLBACK_REASONS.items()),
        "defer_until": "When to ask again, where only a limit or the hour stood in the way",
        "variants": "Groups of experiments the customer is in",
        "versions": "What decided",
        "replayed": "Always false: the header segue-replayed says whether this was stored before",
        "warnings": "What the request named and the catalogue does not know",
        "dry_run": "True in a look, of which nothing was written; else it is not there",
        "candidates": "With explain: every arm, as in /v1/decisions/{decision_id}",
        "summary": "With explain: the same in sentences",
    },
    "Offer": {
        "": "What may be decided now",
        "version": "Names this catalogue; answers have it under versions",
        "channels": "Names for `channels`; those that are outbound need consent, what they report is what teaches",
        "placements": "Names for `placement`",
        "intents": "Names for `intent`, and by how many percent each weighs a group or an action",
        "groups": "Groups of actions; of an exclusive one an answer has at most one",
        "actions": "Actions that have not ended, with their treatments: channel and key of what is shown there",
    },
    "Content": {
        "": "What a key stands for",
        "id": "The key",
        "title": "Its title",
        "body": "Its text",
        "url": "Where it leads",
        "data": "Whatever else there is",
        "catalogue": "The catalogue it is of",
    },
}
