"""Recipes: a command's options in a YAML file, so that an experiment is one word to repeat."""

from pathlib import Path
from typing import Annotated, Any

import typer


def read_recipe(context: typer.Context, path: Path | None) -> Path | None:
    """Let a YAML file speak for the options that the command line leaves out.

    Each value becomes the text that would stand on the command line, so that it is read and checked in the same way.

    Args:
        context: Of the command, before its other options are read.
        path: A mapping from the command's long options, without dashes, and its arguments in lower case, to values;
            None: no recipe.

    Raises:
        ValueError: It cannot be read, or does not hold such a mapping.
    """
    if path is None:
        return None
    parameters = {_key(parameter): parameter for parameter in context.command.params}
    for name in ("help", "recipe"):
        parameters.pop(name, None)
    defaults: dict[str, Any] = {}
    for key, value in _content(path).items():
        if key not in parameters:
            raise ValueError(f"{path}: unknown key {key!r}; allowed: {', '.join(sorted(parameters))}")
        parameter: Any = parameters[key]
        if value is None:
            raise ValueError(f"{path}: {key} is empty: give it a value or leave it out")
        if isinstance(value, dict) or (isinstance(value, list) and not parameter.multiple):
            raise ValueError(f"{path}: {key}={value!r}: expected one value")
        if parameter.multiple:
            defaults[parameter.name] = [str(item) for item in (value if isinstance(value, list) else [value])]
        else:
            defaults[parameter.name] = str(value)
    context.default_map = defaults
    return path


RecipeOption = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        metavar="FILE",
        is_eager=True,  # before the options that it speaks for
        callback=read_recipe,
        help="A YAML file of these options (net: resnet8, epochs: 20, ...); the command line wins.",
    ),
]


def read_net_or_recipe(context: typer.Context, value: str) -> str:
    """Let a recipe stand where a net is expected: ``groupnl train recipes/resnet8.yaml``.

    Raises:
        ValueError: The recipe names no net, cannot be read, or there is a ``--recipe`` too.
    """
    if Path(value).suffix not in {".yaml", ".yml"}:
        return value
    if context.default_map or context.params.get("recipe") is not None:
        raise ValueError(f"{value} and --recipe: give one recipe")
    read_recipe(context, Path(value))
    net = (context.default_map or {}).get("net")
    if not isinstance(net, str):
        raise ValueError(f"{value} names no net: add a line such as 'net: resnet8'")
    return net


NetOrRecipe = Annotated[
    str,
    typer.Argument(
        metavar="NET",
        is_eager=True,
        callback=read_net_or_recipe,
        help="A zoo or timm name, a checkpoint, or module:function; or a recipe (.yaml), which names the net.",
    ),
]


def _key(parameter: Any) -> str:
    """``--data-dir`` to ``data-dir``; an argument's name as it is."""
    long = [option for option in parameter.opts if option.startswith("--")]
    return long[0].removeprefix("--") if long else str(parameter.name)


def _content(path: Path) -> dict[Any, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected lines such as 'net: resnet8', found {type(content).__name__}")
    return content
