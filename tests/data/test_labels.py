"""Classes of photos, from folders and from tables."""

import codecs
from pathlib import Path

import pytest

from project.core.errors import InputError
from project.data import DataError, ImageListData, Reading
from tests.data.files import photo, save


def classes(root: Path, *names: str, count: int = 1) -> Path:
    for name in names:
        for number in range(count):
            save(root / name / f"{name.replace('/', '_')}_{number}.png", photo(seed=number))
    return root


def labels_of(data: ImageListData) -> dict[str, int]:
    data.setup("test")
    samples = data.samples
    return {
        Path(samples.where(index)).parent.name: samples.label(index)
        for index in range(len(samples.names))
    }


@pytest.mark.parametrize("names", [[f"{n}" for n in range(12)], [f"{n:03d}" for n in range(12)]])
def test_folders_0_to_k_are_their_own_classes(tmp_path, names):
    data = ImageListData(str(classes(tmp_path, *names)))
    assert labels_of(data) == {name: int(name) for name in names}
    assert (data.class_names, data.notices) == (tuple(names), [])


def test_other_integers_are_numbered_by_value_and_it_is_told(tmp_path):
    data = ImageListData(str(classes(tmp_path, "10", "9", "100")))
    with pytest.warns(UserWarning, match="9 is class 0, 10 is class 1, 100 is class 2"):
        assert labels_of(data) == {"9": 0, "10": 1, "100": 2}
    assert data.class_names == ("9", "10", "100")
    assert len(data.notices) == 1


def test_integers_below_the_number_of_classes_are_labels_though_some_are_missing(tmp_path):
    data = ImageListData(str(classes(tmp_path, "10", "9", "2")), num_classes=12)
    assert labels_of(data) == {"2": 2, "9": 9, "10": 10}
    assert data.num_classes == 12
    assert data.class_names == tuple(f"{number}" for number in range(12))


def test_integers_that_begin_at_1_take_an_offset(tmp_path):
    data = ImageListData(str(classes(tmp_path, *(f"{n}" for n in range(1, 12)))), label_offset=1)
    assert labels_of(data) == {f"{n}": n - 1 for n in range(1, 12)}
    assert data.class_names[9] == "10"


@pytest.mark.parametrize(
    ("names", "arguments", "message"),
    [
        (["7", "07"], {}, r"got 07 and 7, which are one number"),
        (["ant", "bee"], {"label_offset": 1}, r"label_offset 1 without labels needs .*integers"),
        (["ant", "bee"], {"num_classes": 3}, r"must hold 3 class folders .*got 2"),
        (["3", "9"], {"num_classes": 3}, r"must hold 3 class folders .*got 2"),
        (["train", "val"], {}, r"got splits: train, val. Choose one with --data.eval_split"),
        (["ant"], {"file_pattern": "{}.png"}, r"file_pattern is for a CSV .*no labels"),
        (["é", "e\N{COMBINING ACUTE ACCENT}"], {}, r"write its accents in two ways"),
        ([".hidden"], {}, r"one folder of photos per class, got none"),
    ],
)
def test_folders_whose_numbers_are_not_clear_are_refused(tmp_path, names, arguments, message):
    with pytest.raises(InputError, match=message):
        labels_of(ImageListData(str(classes(tmp_path, *names)), **arguments))


def test_a_class_without_photos_in_one_split_shifts_no_other(tmp_path):
    classes(tmp_path / "train", "ant", "bee", "cat")
    classes(tmp_path / "val", "ant", "cat")
    data = ImageListData(str(tmp_path), train_split="train", eval_split="val")
    assert labels_of(data) == {"ant": 0, "cat": 2}
    assert data.class_names == data.train_samples.class_names == ("ant", "bee", "cat")


def test_names_with_an_integer_among_them_are_sorted_as_text(tmp_path):
    data = ImageListData(str(classes(tmp_path, "10", "9", "x")))
    assert labels_of(data) == {"10": 0, "9": 1, "x": 2}


def table(root: Path, text: str | bytes, files: str = "a b", **arguments: object) -> ImageListData:
    for number, name in enumerate(files.split()):
        save(root / "images" / f"{name}.png", photo(seed=number))
    (root / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return ImageListData(str(root), labels="labels.csv", **arguments)


def read(data: ImageListData) -> list[tuple[str, int]]:
    data.setup("test")
    samples = data.samples
    return [(samples.where(index), samples.label(index)) for index in samples.indices]


PLAIN = "file,class_index\nimages/a.png,3\nimages/b.png,4\n"
EXPECTED = [("images/a.png", 3), ("images/b.png", 4)]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.encode(),
        codecs.BOM_UTF8 + PLAIN.encode(),
        codecs.BOM_UTF16_LE + PLAIN.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"),
        codecs.BOM_UTF32_LE + PLAIN.encode("utf-32-le"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", " , ").replace("\n", " \n \n").encode(),
        PLAIN.replace("images/", "images\\").encode(),
        PLAIN.replace("images/", "./images//").encode(),
        PLAIN.replace(".png", ".PNG").encode(),
        PLAIN.replace(".png", "").encode(),
        b"\n,\n" + PLAIN.replace("\n", ",\n").encode(),
    ],
)
def test_tables_of_other_programs_are_read(tmp_path, text):
    assert read(table(tmp_path, text)) == EXPECTED


def test_accents_in_cp1252_are_read_where_files_prove_them(tmp_path):
    text = "file,class_index\nimages/é.png,3\nimages/b.png,4\n"
    expected = [("images/b.png", 4), ("images/é.png", 3)]
    assert read(table(tmp_path, text.encode("cp1252"), "é b")) == expected
    decomposed = text.replace("é", "e\N{COMBINING ACUTE ACCENT}")
    assert read(table(tmp_path, decomposed, "é b")) == expected


BAD = [
    (PLAIN.replace("b", "ü").encode("cp1252"), r"line 3: accents are not written in UTF-8"),
    ("file,class_index,class_name\nimages/a.png,3,Käfer".encode("cp1252"), r"line 2: accents are"),
    (PLAIN.encode() + b"\x81.png,3", r"line 4: is written neither in UTF-8 nor in cp1252"),
    (PLAIN.encode("utf-16-le"), r"line 1: holds a NUL byte"),
    (PLAIN.replace("b.png", "b\0.png"), r"line 3: holds a NUL byte"),
    (codecs.BOM_UTF16_LE + b"\0\xd8", r"begins as utf-16-le and does not go on so"),
    (PLAIN.replace("images/b", '"images/b'), r"line 3: is no row of a table"),
    (PLAIN + "images/c.png,1,2\n", r"line 4: has 3 fields where the header has 2"),
    (PLAIN.replace("images/b.png", ""), r"line 3: 'file' is empty, so is no photo"),
    (PLAIN + "images/a.png,5\n", r"labels.csv, line 4: images/a.png has the class 5, and 3 in .*2"),
    (PLAIN + "images\\a.PNG,5\n", r"line 4: images/a.png has the class 5, and 3 in"),
    (PLAIN + "../../x.png,5\n", r"line 4: files must lie inside of the root, got '../../x.png'"),
    (PLAIN + "..\\x.png,5\n", r"line 4: files must lie inside of the root"),
    (PLAIN + "/etc/x.png,5\n", r"line 4: .*inside of the root, got '/etc/x.png'. If you trust"),
    (PLAIN + "C:\\x.png,5\n", r"line 4: files must lie inside of the root"),
    ("file,file,class_index\na,b,1\n", r"each column once, got 'file' twice"),
    ("", r"labels.csv: file is empty"),
    ("\n\n", r"must have the columns"),
    ("file,class_index\n", r"at least one photo below its header"),
    ("file,class_index\n" + "x" * 200000 + ",1\n", r"line 2: is no row of a table \(field larger"),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_a_malformed_table_is_refused_by_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(table(tmp_path, text))


@pytest.mark.parametrize("label", ["1_0", "", "cat", "3.0", "٣", "0x1", "9" * 5000, "1 0"])
def test_a_label_that_is_no_integer_is_refused_by_line(tmp_path, label):
    with pytest.raises(DataError, match=r"images/b.png: a class must be .*\(labels.csv, line 3\)"):
        read(table(tmp_path, PLAIN.replace("4", label)))


@pytest.mark.parametrize("label", ["-1", "-100", "1000", "99999999999"])
def test_a_label_beyond_the_classes_is_refused_by_line(tmp_path, label):
    with pytest.raises(DataError, match=rf"0 … 999, got {label} \(labels.csv, line 3\)"):
        read(table(tmp_path, PLAIN.replace("4", label)))


def test_label_255_is_a_class_as_any_other(tmp_path):
    assert read(table(tmp_path, PLAIN.replace("4", "255")))[1] == ("images/b.png", 255)


def test_a_photo_listed_twice_with_one_label_counts_once_and_it_is_told(tmp_path):
    data = table(tmp_path, PLAIN + "images\\a.png,3\n")
    with pytest.warns(UserWarning, match="labels.csv lists 1 photos twice"):
        assert read(data) == EXPECTED


def test_two_files_that_an_entry_may_mean_are_refused(tmp_path):
    save(tmp_path / "images" / "a.jpg", photo())
    with pytest.raises(InputError, match=r"line 2: 'images/a' may mean images/a.jpg and imag"):
        read(table(tmp_path, PLAIN.replace(".png", "")))


def test_files_outside_of_the_root_are_read_if_the_config_says_so(tmp_path):
    save(tmp_path / "other" / "x.png", photo())
    text = PLAIN + f"../other/x.png,5\n{tmp_path}/other/x.png,5\n"
    data = table(tmp_path / "root", text, reading=Reading(outside_root=True))
    assert [label for _, label in read(data)] == [5, 5, 3, 4]


def test_a_folder_or_pipe_in_a_table_is_named(tmp_path):
    (tmp_path / "images" / "d.png").mkdir(parents=True)
    with pytest.raises(DataError, match=r"images/d.png: must be a file, got a folder"):
        read(table(tmp_path, PLAIN + "images/d.png,5\n"))


SHORT = "file,class_index,kind\na,3,images\nb,4,images\n"


@pytest.mark.parametrize(
    "pattern",
    ["images/{}.png", "images/{name}.png", "images/{0}.png", "{kind}/{file}.png", "{kind}/{:>1}"],
)
def test_patterns_are_filled_from_the_row(tmp_path, pattern):
    assert read(table(tmp_path, SHORT, file_pattern=pattern)) == EXPECTED


@pytest.mark.parametrize(
    "pattern",
    [
        "images/a.png",
        "{kind}/{name}.png",
        "{",
        "{0.__class__}",
        "{file[0]}",
        "{:>99999999999}",
        "{:08d}",
        "{1}",
        "{!x}",
    ],
)
def test_patterns_that_cannot_be_filled_are_refused(tmp_path, pattern):
    with pytest.raises(InputError, match="file_pattern"):
        read(table(tmp_path, SHORT, file_pattern=pattern))


def test_a_split_that_no_row_has_is_refused_with_those_there(tmp_path):
    text = "file,class_index,split\nimages/a.png,3,train\nimages/b.png,4,val\n"
    assert read(table(tmp_path, text, eval_split="val")) == [("images/b.png", 4)]
    with pytest.raises(InputError, match=r"rows of the split 'test', got none; .* train, val"):
        read(table(tmp_path, text, eval_split="test"))


def test_a_photo_with_another_label_in_another_split_is_refused(tmp_path):
    text = "file,class_index,split\nimages/a.png,3,train\nimages/a.png,4,val\n"
    with pytest.raises(InputError, match=r"line 3: images/a.png has the class 4, and 3 in"):
        read(table(tmp_path, text, eval_split="val"))


def test_names_of_samples_are_never_those_of_two(tmp_path):
    save(tmp_path / "ant" / "a.png", photo())
    save(tmp_path / "ant" / "a.jpg", photo())
    data = ImageListData(str(tmp_path))
    data.setup("test")
    assert data.samples.names == ("ant/a.jpg", "ant/a.png")
