"""Functions and procedures of PostgreSQL."""

from __future__ import annotations

from bascule.rollback.pictures.marks import marks
from bascule.rollback.pictures.names import Node, listed, texts_in, type_of
from bascule.rollback.pictures.picture import ANY, Key, Picture

_OPTIONS_OF_ROUTINES = {("cost", ("100",)), ("rows", ("1000",)), ("volatility", ("volatile",))}


def _arguments(nodes: list[Node]) -> tuple[str, ...]:
    found = []
    for wrapped in nodes:
        parameter = wrapped.get("FunctionParameter")
        if parameter is not None and parameter.get("mode") in ("FUNC_PARAM_OUT", "FUNC_PARAM_TABLE"):
            continue
        found.append(_type_words(parameter["argType"] if parameter is not None else wrapped["TypeName"]))
    return tuple(found)


def _type_words(node: Node) -> str:
    name, _, array = type_of(node)
    return f"{name}[]" if array else str(name)


def make_function(picture: Picture, node: Node, line: int) -> None:
    key = ("function", listed(picture, node["funcname"]), _arguments(node.get("parameters", [])))
    if picture.before.pop(("function", key[1], None), None) is not None and not node.get("replace"):
        picture.before.setdefault(key, ANY)  # dropped by its name alone
    options = {each["DefElem"]["defname"]: each["DefElem"].get("arg") for each in node.get("options", [])}
    body = " ".join(texts_in(options.pop("as", None)))
    language = " ".join(texts_in(options.pop("language", None))).lower()
    rest = {(name, tuple(sorted(texts_in(arg))) or ("true",)) for name, arg in options.items()}
    value = {
        "returns": type_of(node.get("returnType")) if "returnType" in node else None,
        "text": (language, "".join(body.split()), marks(node.get("sql_body"))),
        "layout": body,
        "options": tuple(sorted(rest - _OPTIONS_OF_ROUTINES)),
    }
    picture.put(key, value, replace=bool(node.get("replace")))


def _functions_called(picture: Picture, name: str, arguments: tuple[str, ...] | None) -> list[Key]:
    return [
        key
        for key in picture.parts
        if key[0] == "function" and key[1] == name and (arguments is None or key[2] in (arguments, None))
    ]


def drop_function(picture: Picture, named: Node, *, unless: bool, cascade: bool) -> None:
    one = named["ObjectWithArgs"]
    name = listed(picture, one["objname"])
    arguments = None if one.get("args_unspecified") else _arguments(one.get("objfuncargs") or one.get("objargs", []))
    found = _functions_called(picture, name, arguments)
    if not found:
        told = any(key[0] == "function" and key[1] == name for key in picture.seen)
        found = [("function", name, arguments)] if not told else [("function", name, arguments or ())]
    for key in found:
        picture.take(key, unless=unless)
    picture.parts.pop(("comment", "function", name), None)
    if cascade:
        for key, value in list(picture.parts.items()):
            if key[0] == "trigger" and isinstance(value, dict) and value.get("function") == name:
                del picture.parts[key]
