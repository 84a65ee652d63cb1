"""What may be decided now, told to apps: channels, placements, intents, live actions, and the content they show."""

from __future__ import annotations

from typing import Any

from features.catalogue import Action, Catalogue
from features.clock import format_time
from features.errors import NotFound


def offer(catalogue: Catalogue, now: int) -> dict[str, Any]:
    """The names a request may use, and the actions that have not ended, as JSON."""
    actions = [one for one in catalogue.actions.values() if one.ends_at is None or one.ends_at > now]
    return {
        "version": catalogue.version,
        "channels": [
            {
                "id": channel.id,
                "outbound": channel.outbound,
                "reports": channel.reports,
                "reports_display": channel.reports_display,
            }
            for channel in catalogue.channels.values()
        ],
        "placements": sorted({placement for action in actions for placement in action.placements}),
        "intents": [
            {"id": intent.id, "weights": [{w.scope: w.of, "percent": w.percent} for w in intent.weights]}
            for intent in catalogue.intents.values()
        ],
        "groups": [{"id": group, "exclusive": group in catalogue.exclusive_groups} for group in catalogue.groups],
        "actions": [_action(one, catalogue) for one in actions],
    }


def content(catalogue: Catalogue, key: str) -> dict[str, Any]:
    """The content under a key, as JSON. Raises NotFound."""
    found = catalogue.content.get(key)
    if found is None:
        words = "the catalogue keeps no content of this key; write [[content]] with this id beside the actions"
        raise NotFound(words, field="content", code="unknown_content")
    return {
        "id": found.id,
        "title": found.title,
        "body": found.body,
        "url": found.url,
        "data": dict(found.data),
        "catalogue": catalogue.version,
    }


def _action(action: Action, catalogue: Catalogue) -> dict[str, Any]:
    return {
        "id": action.id,
        "name": action.name,
        "group": action.group,
        "class": action.action_class,
        "placements": list(action.placements),
        "starts_at": None if action.starts_at is None else format_time(action.starts_at),
        "ends_at": None if action.ends_at is None else format_time(action.ends_at),
        "window_days": action.window_days,
        "attributes": dict(action.attributes),
        "treatments": [
            {
                "channel": treatment.channel,
                "content": treatment.content,
                "content_kept": treatment.content in catalogue.content,
            }
            for treatment in action.treatments
        ],
    }
