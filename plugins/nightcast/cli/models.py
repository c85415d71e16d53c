"""``nightcast models``: what was promoted, which model is champion, and withdrawing one."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, date, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from nightcast.artifacts import run_key
from nightcast.cli.arguments import Subparsers, add_common_arguments, positive, storage_of
from nightcast.errors import RegistryError

if TYPE_CHECKING:
    from nightcast.registry.keys import PromotionKey
    from nightcast.registry.model_registry import ModelRegistry, Promotion

_MOST = 30


def add_to(commands: Subparsers) -> None:
    """Declare the command and what it can do."""
    parser = commands.add_parser(
        "models",
        help="promoted models: champions, history, withdrawal",
        description="Tell what a model registry holds, and withdraw models.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = _action(actions, "list", "each model with its champion", _list, named=False)
    history = _action(actions, "history", "promotions of a model, the greatest training cut-off first", _history)
    show = _action(actions, "show", "one promotion in full: the champion's, or that of --run", _show)
    withdraw = _action(actions, "withdraw", "make a promoted model champion for nobody", _withdraw)
    for one in (listing, history, show):
        one.add_argument(
            "--as-of", type=_day, metavar="DATE", help="as of the beginning of this day, UTC (default: today)"
        )
    history.add_argument("--most", type=positive, default=_MOST, metavar="N", help=f"at most N (default: {_MOST})")
    for one in (show, withdraw):
        named = one is withdraw
        one.add_argument("--run", required=named, metavar="KEY", help="the promoted run: its key or its id")
        one.add_argument("--cut-off", type=_day, metavar="DATE", help="its training cut-off, if the run has several")
    withdraw.add_argument("--reason", required=True, metavar="TEXT", help="why, for those who look later")


def _action(actions: Subparsers, name: str, text: str, run: Any, *, named: bool = True) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("registry", help="the registry's root: s3://bucket/prefix/pipeline/registry, or a folder")
    if named:
        parser.add_argument("name", help="the model's name, as list tells it")
    add_common_arguments(parser)
    parser.set_defaults(run_command=run, usage_error=parser.error)
    return parser


def _list(options: argparse.Namespace) -> None:
    registry, day = _registry(options), _as_of(options)
    champions = {name: registry.champion_as_of(name, day) for name in registry.model_names()}
    if options.json:
        models = [
            {"modelName": name, "champion": None if champion is None else _document(champion, champion)}
            for name, champion in champions.items()
        ]
        print(json.dumps({"asOf": day.isoformat(), "models": models}, ensure_ascii=False))
        return
    from nightcast.cli.tables import Printer

    printer = Printer()
    if not champions:
        printer.line(f"no model was promoted below {registry.root}")
        return
    from nightcast.cli.registry_tables import print_champions

    print_champions(printer, champions, day)


def _history(options: argparse.Namespace) -> None:
    registry, day = _registry(options), _as_of(options)
    until = options.as_of
    keys = [key for key in _keys(registry, options) if until is None or key.cut_off <= until]
    champion = registry.champion_as_of(options.name, day)
    shown = list(islice(registry.history(options.name, until=until), options.most))
    if options.json:
        promotions = [_document(one, champion) for one in shown]
        document = {"modelName": options.name, "asOf": day.isoformat(), "promotions": promotions, "all": len(keys)}
        print(json.dumps(document, ensure_ascii=False))
        return
    from nightcast.cli.registry_tables import print_history
    from nightcast.cli.tables import Printer

    print_history(Printer(), options.name, shown, champion, day, len(keys))


def _show(options: argparse.Namespace) -> None:
    if options.run is not None and options.as_of is not None:
        options.usage_error("--run names a promotion: leave --as-of out")
    registry, day = _registry(options), _as_of(options)
    champion = registry.champion_as_of(options.name, day)
    promotion = champion if options.run is None else registry.promotion(options.name, _key(registry, options))
    if promotion is None:
        _keys(registry, options)
        raise RegistryError(
            f"no model {options.name} is champion as of {day}: `nightcast models history` lists all promotions."
        )
    if options.json:
        print(json.dumps(_document(promotion, champion), ensure_ascii=False))
        return
    from nightcast.cli.registry_tables import print_promotion
    from nightcast.cli.tables import Printer

    print_promotion(Printer(), promotion, champion, day)


def _withdraw(options: argparse.Namespace) -> None:
    registry = _registry(options)
    key = _key(registry, options)
    before = registry.promotion(options.name, key).withdrawal
    promotion = registry.withdraw(options.name, key, options.reason, datetime.now(UTC))
    champion = registry.champion_as_of(options.name, _as_of(options))
    if options.json:
        print(json.dumps(_document(promotion, champion), ensure_ascii=False))
        return
    from nightcast.cli.registry_tables import print_withdrawal
    from nightcast.cli.tables import Printer

    print_withdrawal(Printer(), promotion, champion, again=before is not None)


def _registry(options: argparse.Namespace) -> ModelRegistry:
    from nightcast.registry.model_registry import ModelRegistry

    return ModelRegistry(storage_of(options), options.registry)


def _keys(registry: ModelRegistry, options: argparse.Namespace) -> list[PromotionKey]:
    """All promotions of the model; RegistryError where there is none."""
    keys = registry.keys_of(options.name)
    if not keys:
        names = ", ".join(registry.model_names()) or "none at all"
        raise RegistryError(f"no model {options.name!r} was promoted below {registry.root}; there are: {names}.")
    return keys


def _key(registry: ModelRegistry, options: argparse.Namespace) -> PromotionKey:
    """The promotion that the arguments name; RegistryError where it is not there, or not the only one."""
    # A run id, as Airflow shows it, will do too.
    keys = [key for key in _keys(registry, options) if key.run_key == run_key(options.run)]
    if options.cut_off is not None:
        keys = [key for key in keys if key.cut_off == options.cut_off]
    if not keys:
        at = "" if options.cut_off is None else f" with the cut-off {options.cut_off}"
        raise RegistryError(
            f"no model {options.name} was promoted by run {options.run!r}{at}: `nightcast models history` lists those "
            "that were."
        )
    if len(keys) > 1:
        days = ", ".join(str(key.cut_off) for key in keys)
        raise RegistryError(f"run {options.run!r} was promoted for several cut-offs ({days}): name one by --cut-off.")
    return keys[0]


def _document(promotion: Promotion, champion: Promotion | None) -> dict[str, Any]:
    from nightcast.cli.registry_tables import state_of

    return {
        **promotion.entry.document(),
        "uri": promotion.reference["uri"],
        "state": state_of(promotion, champion),
        "withdrawal": None if promotion.withdrawal is None else promotion.withdrawal.document(),
    }


def _as_of(options: argparse.Namespace) -> date:
    given: date | None = getattr(options, "as_of", None)
    return given or datetime.now(UTC).date()


def _day(text: str) -> date:
    from nightcast.registry.keys import cut_off_of

    day = cut_off_of(text)
    if day is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write YYYY-MM-DD")
    return day
