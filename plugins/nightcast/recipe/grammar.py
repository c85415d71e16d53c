"""Recipes: which attributes are learnt from, and in which form.

A recipe is a JSON object with ``groups``, ``assignments`` and ``outputs``, in this order; its grammar is
Amazon ML's, with more functions, which ``strict`` refuses. Groups and assignments are resolved and types are checked
against the schema here, before any data are read, so that what remains is a plain list of typed expressions.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nightcast.datasource.schema import AttributeType, Schema
from nightcast.errors import RecipeError
from nightcast.recipe.document import Document, Quote, read_document, recipe_error
from nightcast.recipe.expressions import FUNCTIONS, Call, Expression, Function, ValueType, Variable, unscaled
from nightcast.recipe.parameters import split_parameters
from nightcast.recipe.syntax import CallNode, Name, Node, Number, parse_expression_text, parse_name

MAX_OUTPUTS = 10_000
MAX_NAME_CHARACTERS = 64
ALL_INPUTS = "ALL_INPUTS"
PREDEFINED_GROUPS: dict[str, AttributeType] = {
    "ALL_TEXT": AttributeType.TEXT,
    "ALL_NUMERIC": AttributeType.NUMERIC,
    "ALL_CATEGORICAL": AttributeType.CATEGORICAL,
    "ALL_BINARY": AttributeType.BINARY,
}
_GROUP_FUNCTIONS = ("group", "group_remove")
# Bounds that no recipe of a person meets; without them a short text can stand for endless work.
_MAX_SIZE = 100
_MAX_DEFINITION_DEPTH = 50


@dataclass(frozen=True)
class Recipe:
    """A recipe that fits its schema.

    Parameters
    ----------
    text
        The JSON as it was given.
    outputs
        What is learnt from, in the order of the text: groups are replaced by their members and assignments
        by what they stand for. An expression that is listed twice counts once.
    """

    text: str
    outputs: tuple[Expression, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the attributes that the outputs read, each once, in the order of their first use."""
        return tuple(dict.fromkeys(variable.name for output in self.outputs for variable in output.variables()))


def parse_recipe(text: str, schema: Schema, *, strict: bool = False) -> Recipe:
    """Read a recipe and check it against the schema.

    Parameters
    ----------
    text
        JSON of at most 131,071 characters.
    schema
        Says which attributes there are and of which type. Target, row id and excluded attributes are not
        members of predefined groups, and can not be named.
    strict
        Whether functions that Amazon ML does not have are errors.

    Raises
    ------
    RecipeError
        With line, column and the line itself: no valid JSON, an unknown name or function, a wrong type or
        parameter, a definition that needs itself, more than 10,000 outputs, or none.
    """
    document = read_document(text)
    resolver = _Resolver(document, schema, strict)
    found: dict[Expression, None] = {}
    listed = 0
    for output in document.outputs:
        members = resolver.resolve(parse_expression_text(text, output, comment=True))
        found.update(dict.fromkeys(members))
        # Repeated ones count here: the limit is that of a recipe's length, not of what is left of it.
        listed += len(members)
        if listed > MAX_OUTPUTS:
            raise recipe_error(
                text,
                output.offsets[0],
                f"this makes {listed:,} output variables, {MAX_OUTPUTS:,} are allowed; list fewer",
            )
    if not found:
        raise RecipeError("the outputs of the recipe have no members: the schema has no attribute of these types.")
    resolver.resolve_all()
    return Recipe(text, tuple(found))


class _Resolver:
    """Knows what each name stands for; definitions are resolved when they are first used."""

    def __init__(self, document: Document, schema: Schema, strict: bool) -> None:
        self.text = document.text
        self.schema = schema
        self.functions = {name: one for name, one in FUNCTIONS.items() if not (strict and one.extension)}
        inputs = schema.inputs
        self.variables = {item.name: Variable(item.name, ValueType(item.type.value)) for item in inputs}
        self.known: dict[str, tuple[Expression, ...]] = {
            name: tuple(self.variables[item.name] for item in inputs if item.type is kind)
            for name, kind in PREDEFINED_GROUPS.items()
        }
        self.known[ALL_INPUTS] = tuple(self.variables.values())
        self.group_names = {*self.known}
        self.open: list[str] = []
        self.definitions: dict[str, tuple[Quote, Callable[[Node], tuple[Expression, ...]]]] = {}
        for name, body in document.groups:
            self.group_names.add(self.define(name, body, self.group))
        for name, body in document.assignments:
            self.define(name, body, self.resolve)

    def define(self, key: Quote, body: Quote, meaning: Callable[[Node], tuple[Expression, ...]]) -> str:
        name = parse_name(self.text, key)
        if len(name) > MAX_NAME_CHARACTERS:
            message = f"the name has {len(name)} characters, {MAX_NAME_CHARACTERS} are allowed; shorten it"
        elif name in self.known:
            message = f"{name!r} is a predefined group; choose another name"
        elif name in self.definitions:
            message = f"{name!r} is defined twice; choose another name"
        elif name in self.schema.names:
            message = f"{name!r} is the name of an attribute; choose another name"
        else:
            self.definitions[name] = (body, meaning)
            return name
        raise self.fault(key.offsets[0], message)

    def resolve_all(self) -> None:
        """Resolve what no output uses too: an error in it is an error."""
        for name, (body, _) in self.definitions.items():
            self.lookup(Name(name, body.offsets[0]))

    def resolve(self, node: Node) -> tuple[Expression, ...]:
        """Expressions that a piece of text stands for: several where it names a group."""
        if isinstance(node, Number):
            raise self.fault(
                node.place, f"the number {node.value} is no attribute; put a name like this in single quotes"
            )
        if isinstance(node, Name):
            return self.lookup(node)
        if node.function in _GROUP_FUNCTIONS:
            raise self.fault(node.place, f'{node.function}(...) defines a group; move it to "groups" and use its name')
        if node.function not in self.functions:
            raise self.fault(node.place, self.unknown_function(node.function))
        return self.call(node, self.functions[node.function])

    def unknown_function(self, name: str) -> str:
        if name in FUNCTIONS:
            return f"{name!r} is an extension, which Amazon ML does not have; leave it out, or read without strict"
        return f"{name!r} is no function{_similar(name, self.functions)}"

    def call(self, node: CallNode, function: Function) -> tuple[Expression, ...]:
        arguments, parameters = split_parameters(node, function, self.fault)
        low, high = function.arguments
        if not low <= len(arguments) <= high:
            wanted = str(low) if low == high else f"{low} to {high}"
            raise self.fault(node.place, f"{node.function} takes {wanted} argument(s), not {len(arguments)}")
        choices = [self.checked(node.function, function, argument) for argument in arguments]
        if math.prod(len(choice) for choice in choices) > MAX_OUTPUTS:
            raise self.fault(node.place, f"this makes more than {MAX_OUTPUTS:,} output variables; name smaller groups")
        found = tuple(Call(node.function, combination, parameters) for combination in itertools.product(*choices))
        if any(sum(argument.size for argument in one.arguments) >= _MAX_SIZE for one in found):
            raise self.fault(node.place, f"with its assignments put in, this has more than {_MAX_SIZE} pieces")
        return found

    def checked(self, name: str, function: Function, node: Node) -> tuple[Expression, ...]:
        members = self.resolve(node)
        for member in members:
            if member.type not in function.takes:
                wanted = " or ".join(kind for kind in ValueType if kind in function.takes)
                raise self.fault(node.place, f"{name} takes {wanted}, and {member} is {member.type}")
            if function.of_dates and not isinstance(member, Variable):
                raise self.fault(node.place, f"{name} takes an attribute of dates, and {member} is none")
            if function.extension and unscaled(member) is not member:
                raise self.fault(node.place, f"{name} takes a number as it is; put normalize around {name} instead")
        return members

    def group(self, node: Node) -> tuple[Expression, ...]:
        """Members of a group's definition."""
        if not isinstance(node, CallNode) or node.function not in _GROUP_FUNCTIONS:
            raise self.fault(node.place, "a group is defined by group(...) or group_remove(...)")
        members = [self.members(argument, node.function) for argument in node.arguments]
        if node.function == "group":
            return tuple(dict.fromkeys(itertools.chain.from_iterable(members)))
        removed = set(itertools.chain.from_iterable(members[1:]))
        return tuple(member for member in members[0] if member not in removed)

    def members(self, node: Node, function: str) -> tuple[Expression, ...]:
        if not isinstance(node, Name):
            raise self.fault(node.place, f"{function} takes names of attributes and groups")
        if node.name == ALL_INPUTS and function == "group":
            raise self.fault(node.place, "ALL_INPUTS may be used in outputs, not inside group(...)")
        if node.name in self.definitions and node.name not in self.group_names:
            raise self.fault(node.place, f"{node.name!r} is an assignment; {function} takes attributes and groups")
        return self.lookup(node)

    def lookup(self, node: Name) -> tuple[Expression, ...]:
        if node.name in self.variables:
            return (self.variables[node.name],)
        if node.name not in self.known:
            self.known[node.name] = self.definition(node)
        return self.known[node.name]

    def definition(self, node: Name) -> tuple[Expression, ...]:
        if node.name in self.open:
            raise self.fault(node.place, f"{node.name!r} is defined by itself: {' -> '.join([*self.open, node.name])}")
        if node.name not in self.definitions:
            raise self.fault(node.place, self.unknown(node.name))
        if len(self.open) > _MAX_DEFINITION_DEPTH:
            raise self.fault(node.place, f"definitions use each other more than {_MAX_DEFINITION_DEPTH} deep")
        body, meaning = self.definitions[node.name]
        self.open.append(node.name)
        found = meaning(parse_expression_text(self.text, body))
        self.open.pop()
        return found

    def unknown(self, name: str) -> str:
        roles = {self.schema.target: "the target", self.schema.row_id: "the row id"}
        roles.update(dict.fromkeys(self.schema.excluded, "excluded by the schema"))
        if name in roles:
            return f"{name!r} is {roles[name]}, which is not learnt from; leave it out"
        known = [*self.variables, *self.known, *self.definitions]
        return f"{name!r} is no attribute, group or assignment{_similar(name, known)}"

    def fault(self, place: int, message: str) -> RecipeError:
        return recipe_error(self.text, place, message)


def _similar(name: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else "; check its spelling"
