"""Reads `calltide.yaml`, with the same care and the same kind of errors as the policies."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from forecasting.sources import FileSettings
from scaler.errors import ConfigurationError, Problem
from scaler.policy.directory import read_file
from scaler.policy.judging import judge
from scaler.policy.tree import RefusedTextError, parse
from scaler.service.settings import Configuration

_Settings = TypeVar("_Settings", bound=BaseModel)


def load_configuration(path: Path) -> Configuration:
    """The configuration of this file, its relative paths resolved against the file's folder.

    Raises:
        ConfigurationError: it cannot be read or is wrong; every fault with file, line and field.
    """
    if not path.exists():
        raise ConfigurationError(f"{path}: there is no such file. Name the configuration with --config.")
    read = read_file(path)
    if isinstance(read, Problem):
        raise ConfigurationError(str(read))
    try:
        builder = parse(read.file, read.text)
    except RefusedTextError as refused:
        raise ConfigurationError(str(refused.problem)) from None
    if len(builder.documents) != 1:
        raise ConfigurationError(f"{path}: there must be exactly one document, there are {len(builder.documents)}")
    configuration, problems = judge(Configuration, builder.documents[0])
    problems = [*builder.problems, *problems]
    if configuration is None or problems:
        raise ConfigurationError("\n".join(map(str, problems)))
    return with_absolute_paths(configuration, path.absolute().parent)


def with_absolute_paths(settings: _Settings, folder: Path) -> _Settings:
    """The same settings with every relative path taken from this folder, however deep it stands."""
    changes: dict[str, object] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Path):
            changes[name] = folder / value
        elif isinstance(value, str) and name.endswith("_file"):
            changes[name] = str(folder / value)
        elif isinstance(value, BaseModel):
            changes[name] = with_absolute_paths(value, folder)
        elif isinstance(value, dict):
            changes[name] = {
                key: with_absolute_paths(entry, folder) if isinstance(entry, BaseModel) else entry
                for key, entry in value.items()
            }
    if isinstance(settings, FileSettings):
        changes["paths"] = tuple(one if "://" in one else str(folder / one) for one in settings.paths)
    return settings.model_copy(update=changes)
