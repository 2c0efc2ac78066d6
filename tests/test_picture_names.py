from __future__ import annotations

import pytest

from gpt_image_2_mcp.picture_names import address_of, id_in, image_id, label_of, title_of

ID = "3f9a1c0b7d2e-1"


def test_a_pictures_id_is_the_beginning_of_its_operations_and_its_number() -> None:
    assert image_id("a1b2c3d4e5f6" + "0" * 20, 10) == "a1b2c3d4e5f6-10"


def test_a_picture_is_listed_by_its_prompt_and_an_imported_one_by_its_origin() -> None:
    assert title_of("generate", "A fox\nin /snow") == "A fox\nin /snow"
    assert title_of("import", "https://example.com/a/fox.png?key=1") == "Imported: fox.png"


def test_an_address_gives_back_the_id_it_was_made_of() -> None:
    assert address_of(ID) == f"image://{ID}"
    assert id_in(address_of(ID)) == ID


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        (ID, ID),
        (ID.upper(), ID.upper()),
        ("3f9a1c0b7d2e" + "0" * 20 + "-10", "3f9a1c0b7d2e" + "0" * 20 + "-10"),
        (f"IMAGE://{ID}/", ID),
        (f"image:{ID}", ID),
        (f"image:///{ID}", ID),
        (f"image://{ID}/preview", ID),
        ("image://3f9a", "3f9a"),
        ("image://anything", "anything"),
    ],
)
def test_models_write_ids_in_several_ways(text: str, id_: str) -> None:
    assert id_in(text) == id_


@pytest.mark.parametrize(
    "text",
    [
        "3f9a1c0b7d2e",
        "3f9a1c0b7d2e-1.png",
        "3f9a-1",
        "cat.png",
        "/home/me/3f9a1c0b7d2e-1",
        "image://a/b",
        "image://../etc",
        f"image://{ID}/partial/0",
        "https://example.org/3f9a1c0b7d2e-1",
        "",
    ],
)
def test_what_may_be_a_file_is_no_id(text: str) -> None:
    assert id_in(text) is None


@pytest.mark.parametrize(
    ("source", "label"),
    [
        ("/home/me/cat.png", "cat.png"),
        ("C:\\Users\\me\\cat.png", "cat.png"),
        ("https://example.org/a/cat.png?token=secret#x", "cat.png"),
        ("https://example.org/", "example.org"),
        ("https://example.org", "example.org"),
        ("data:image/png;base64,AAAA", "a data: URL"),
        ("The clipboard's picture", "The clipboard's picture"),
        ("what? #1.png", "what? #1.png"),
        ("/", "/"),
    ],
)
def test_a_picture_from_elsewhere_is_called_by_its_files_name(source: str, label: str) -> None:
    assert label_of(source) == label
