"""Batches of Bulk API 1.0 with binary attachments."""

import base64
import io
import json
import random
import re
import zipfile

import pytest

from bulknb.sandbox import archive, content

JOBS = "async/62.0/job"
PHOTO = bytes(range(256))


def pack(files, compression=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return packed.getvalue()


@pytest.fixture
def account(load, sandbox):
    load("Name\nA\n")
    return sandbox.records("Account")[0]["Id"]


@pytest.fixture
def send(api, sandbox):
    """Run one batch of attachments and return the path of it."""

    def run(data, kind="CSV"):
        wanted = {"operation": "insert", "object": "Attachment", "contentType": f"ZIP_{kind}"}
        job = api("POST", JOBS, json=wanted).json["id"]
        headers = {"Content-Type": f"zip/{kind.lower()}"}
        answer = api("POST", f"{JOBS}/{job}/batch", data=data, headers=headers)
        assert answer.status_code == 201, answer.text
        sandbox.clock.advance(60)
        return f"{JOBS}/{job}/batch/{re.search(r'751[A-Za-z0-9]{15}', answer.text)[0]}"

    return run


def requests(account):
    rows = [
        {"Name": "one.jpg", "ParentId": account, "Body": "#photos/one.jpg"},
        {"Name": "two.txt", "ParentId": account, "Body": "#two.txt"},
    ]
    csv = "\n".join(["Name,ParentId,Body", *(",".join(row.values()) for row in rows), ""])
    fields = ("".join(f"<{name}>{text}</{name}>" for name, text in row.items()) for row in rows)
    xml = "".join(f"<sObject>{each}</sObject>" for each in fields)
    return {"CSV": csv, "JSON": json.dumps(rows), "XML": f"<sObjects>{xml}</sObjects>"}


@pytest.mark.parametrize("kind", ["CSV", "JSON", "XML"])
def test_the_cells_of_a_zipped_batch_become_the_files_they_name(api, account, send, sandbox, kind):
    request = requests(account)[kind]
    data = pack({"request.txt": request, "photos/one.jpg": PHOTO, "two.txt": b"zwei"})
    path = send(data, kind)
    bodies = {record["Name"]: record["Body"] for record in sandbox.records("Attachment")}
    assert {name: base64.b64decode(body) for name, body in bodies.items()} == {
        "one.jpg": PHOTO,
        "two.txt": b"zwei",
    }
    sent = api("GET", f"{path}/request")
    assert (sent.content_type, sent.data) == (f"zip/{kind.lower()}", data)
    info = api("GET", path)
    result = api("GET", f"{path}/result")
    if kind == "JSON":
        assert info.json["state"] == "Completed"
        assert [row["success"] for row in result.json] == [True, True]
    else:
        assert "<state>Completed</state>" in info.text
        assert len(re.findall("00P[A-Za-z0-9]{15}", result.text)) == 2


def test_a_file_that_is_not_there_fails_its_row_alone(api, account, send, sandbox):
    request = requests(account)["CSV"] + f"three,{account},QQ==\n"
    path = send(pack({"request.txt": request, "two.txt": b"zwei"}))
    first, second, third = api("GET", f"{path}/result").text.splitlines()[1:]
    assert '"INVALID_FIELD:Failed to deserialize field at col 2.' in first
    assert "'no such file: #photos/one.jpg' is not a valid value" in first
    assert '"true","true",""' in second
    assert "'no such file: QQ==' is not a valid value for the type xsd:base64Binary" in third
    assert [record["Name"] for record in sandbox.records("Attachment")] == ["two.txt"]


def test_a_cell_of_another_field_is_text_even_if_it_begins_like_a_file(account, send, sandbox):
    csv = f"Name,ParentId,Body\n#two.txt,{account},#two.txt\n"
    send(pack({"request.txt": csv, "two.txt": b"zwei"}))
    assert sandbox.records("Attachment")[0]["Name"] == "#two.txt"


def failure(api, path):
    info = api("GET", path).text
    assert "<state>Failed</state>" in info
    return re.search("<stateMessage>InvalidBatch : (.*)</stateMessage>", info)[1]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"folder/request.txt": "Name\n"}, "The zip file has no request.txt at its root"),
        (
            {"request.txt": "Name\n", "big": bytes(20 * 1024 * 1024)},
            "The zip file unpacks to more than 20971520 bytes",
        ),
        (
            {"request.txt": "Name\n", **{f"{n}.txt": b"" for n in range(1001)}},
            "The zip file has more than 1000 files",
        ),
        (
            {"request.txt": "Name\n", "ü" * 257: b""},
            "A file's name is longer than 512 bytes",
        ),
        ({"request.txt": b"\xff"}, "The zip file cannot be read"),
    ],
)
def test_a_zip_file_beyond_the_limits_fails_its_batch(api, send, files, message):
    assert failure(api, send(pack(files))) == message


def test_a_thousand_files_of_long_names_are_taken(api, account, send, sandbox):
    files = {f"{row:0512}": b"x" for row in range(1000)}
    rows = [f"{row},{account},#{name}" for row, name in enumerate(files)]
    send(pack({"request.txt": "\n".join(["Name,ParentId,Body", *rows, ""]), **files}))
    assert len(sandbox.records("Attachment")) == 1000


@pytest.mark.parametrize("data", [b"PK", pack({"request.txt": "Name\n"}, zipfile.ZIP_BZIP2)])
def test_what_is_no_zip_file_fails_its_batch(api, send, sandbox, data):
    assert failure(api, send(data)).startswith("The zip file ")
    assert sandbox.records("Attachment") == []


def test_a_damaged_zip_file_is_read_or_refused_and_nothing_else():
    packed = pack({"request.txt": "Name,Body\n" + "x" * 300, "a/ü.bin": PHOTO})
    # The directory, at the end of the file, is where damage does most.
    places = [*range(len(packed)), *[*range(len(packed))[-200:]] * 5]
    chance = random.Random(1)
    seen = set()
    for _ in range(5000):
        data = bytearray(packed)
        for place in chance.sample(places, chance.randint(1, 6)):
            data[place] = chance.choice((0, 255, chance.randrange(256)))
        try:
            seen.add(type(archive.read(bytes(data))))
        except content.ContentError as error:
            seen.add(type(error))
    assert seen == {archive.Archive, content.ContentError}


def test_a_zip_file_has_ten_megabytes_at_most(api):
    wanted = {"operation": "insert", "object": "Attachment", "contentType": "ZIP_CSV"}
    job = api("POST", JOBS, json=wanted).json["id"]
    answer = api("POST", f"{JOBS}/{job}/batch", data=bytes(10 * 1024 * 1024 + 1))
    assert answer.status_code == 400
    assert "<exceptionCode>InvalidBatch</exceptionCode>" in answer.text
    answer = api("POST", f"{JOBS}/{job}/batch", data=b"")
    assert "<exceptionCode>InvalidBatch</exceptionCode>" in answer.text
