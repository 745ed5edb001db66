"""Personas are folders."""

from __future__ import annotations

import os

import pytest

from services.common.errors import NotFound
from services.llm.persona import SHIPPED, Personas


def write(folder, name: str, greeting: str) -> None:
    (folder / name).mkdir(exist_ok=True, parents=True)
    (folder / name / "persona.toml").write_text(f'title = "{name}"\n[greetings]\nen = "{greeting}"\n')


def test_own_personas_come_first_and_edits_are_seen(tmp_path):
    write(tmp_path, "visavis", "Mine.")
    personas = Personas(tmp_path, SHIPPED)
    assert personas.get("visavis").greetings["en"] == "Mine."
    write(tmp_path, "visavis", "Changed.")
    os.utime(tmp_path / "visavis" / "persona.toml", ns=(1, 1))
    assert personas.get("visavis").greetings["en"] == "Changed."
    write(tmp_path, "new", "Hello.")
    assert personas.names() == ["new", "visavis"]
    assert (personas.get("new").hotwords, personas.get("new").speaks) == (("new",), ())
    (tmp_path / "new" / "persona.toml").write_text('title = "Guide"\nhotwords = ["Louvre"]\nlanguages = ["fr"]\n')
    assert (personas.get("new").hotwords, personas.get("new").speaks) == (("Guide", "Louvre"), ("fr",))


@pytest.mark.parametrize("name", ["nobody", "", "..", "../personas/visavis", "/etc"])
def test_only_folders_that_are_personas_can_be_named(name):
    with pytest.raises(NotFound, match="choose one of: visavis"):
        Personas(SHIPPED).get(name)


def test_every_shipped_persona_speaks_all_it_claims():
    personas = Personas(SHIPPED)
    for name in personas.names():
        persona = personas.get(name)
        for language in persona.languages:
            assert persona.greetings[language]
            assert persona.style[language]
            assert len(persona.knowledge[language]) > 20
