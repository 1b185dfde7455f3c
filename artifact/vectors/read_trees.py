"""A second reader of trees, written from docs/artifact-format.md: verifies the test vectors of a folder, where each compressed
stream lies inflated beside its file as FILE.raw (Python has no zstd before 3.14)."""
import hashlib, io, json, struct, sys, tarfile
from pathlib import Path

TREE, FILE, INDEX, DELTA = b"aether-tree-1\0", b"aether-file-1\0", b"aether-index-1\0", b"aether-delta-1\0"
MOST = 128


class Refused(Exception):
    pass


def need(holds, what):
    if not holds:
        raise Refused(what)


def sha(data):
    return hashlib.sha256(data).digest()


def begins_chunk(name):
    return sha(name)[0] & 63 == 0


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        need(self.at + length <= len(self.data), "ends too early")
        self.at += length
        return self.data[self.at - length : self.at]

    def uint(self, length):
        return int.from_bytes(self.take(length), "big")

    def end(self):
        need(self.at == len(self.data), "something behind the end")


def parse_object(data):
    """('entries', [(name, kind, size or target, digest)]) or ('branch', [digest])"""
    need(len(data) <= 1 << 20, "too large")
    cursor = Cursor(data)
    need(cursor.take(len(TREE)) == TREE, "magic")
    kind, count = cursor.uint(1), cursor.uint(4)
    if kind == 2:
        chunks = [cursor.take(32) for _ in range(count)]
        cursor.end()
        need(count >= 2 and len(set(chunks)) == count, "branch")
        return "branch", chunks
    need(kind == 1 and count <= MOST, "type or count")
    entries, last = [], b""
    for _ in range(count):
        letter = cursor.take(1)
        name = cursor.take(cursor.uint(2))
        need(0 < len(name) <= 255 and name not in (b".", b"..") and b"/" not in name and b"\0" not in name, "name")
        need(name > last, "order")
        last = name
        if letter in b"fx":
            size = cursor.uint(8)
            need(size < 1 << 53, "size")
            entries.append((name, letter, size, cursor.take(32)))
        elif letter == b"l":
            target = cursor.take(cursor.uint(2))
            need(0 < len(target) <= 4095 and b"\0" not in target, "target")
            entries.append((name, letter, target, None))
        else:
            need(letter == b"d", "kind")
            entries.append((name, letter, None, cursor.take(32)))
    cursor.end()
    return "entries", entries


def read_folder(digest, objects):
    need(digest in objects, "an object is missing")
    kind, found = parse_object(objects[digest])
    if kind == "entries":
        return found
    chunks = [parse_object(objects[chunk]) for chunk in found]
    need(all(kind == "entries" for kind, _ in chunks), "a branch in a branch")
    entries = [entry for _, chunk in chunks for entry in chunk]
    need(encode_folder(entries)[0] == digest, "not cut by the rule")
    return entries


def encode_object(kind, count, body):
    data = TREE + struct.pack(">BI", kind, count) + body
    return sha(data), data


def encode_folder(entries):
    """(digest, {digest: object}); the entries in order."""
    need(all(a[0] < b[0] for a, b in zip(entries, entries[1:])), "order")
    chunks = [[]]
    for entry in entries:
        if len(entries) > MOST and chunks[-1] and (len(chunks[-1]) == MOST or begins_chunk(entry[0])):
            chunks.append([])
        chunks[-1].append(entry)
    made = []
    for chunk in chunks:
        body = b""
        for name, letter, more, digest in chunk:
            body += letter + struct.pack(">H", len(name)) + name
            body += struct.pack(">Q", more) if letter in b"fx" else b""
            body += struct.pack(">H", len(more)) + more if letter == b"l" else digest
        made.append(encode_object(1, len(chunk), body))
    if len(made) > 1:
        made.insert(0, encode_object(2, len(made), b"".join(digest for digest, _ in made)))
    return made[0][0], dict(made)


def expand(digest, objects, folder=b""):
    for name, letter, more, child in read_folder(digest, objects):
        yield folder + name, letter, more, child
        if letter == b"d":
            yield from expand(child, objects, folder + name + b"/")


def listing(digest, objects):
    words = {b"d": lambda more, d: "folder", b"l": lambda more, d: f"link {more.hex()}"}
    default = lambda letter: lambda more, d: f"{letter.decode()} {more} {d.hex()}"
    return [f"{path.hex()} {words.get(letter, default(letter))(more, d)}" for path, letter, more, d in expand(digest, objects)]


def accept(data, wanted, objects, held):
    """One more folder object: it must be one that an object before it speaks of."""
    digest = sha(data)
    need(digest in wanted, "an object that nobody asked for")
    wanted.remove(digest)
    objects[digest] = data
    kind, found = parse_object(data)
    below = found if kind == "branch" else [entry[3] for entry in found if entry[1] == b"d"]
    wanted.update(each for each in below if each not in objects and each not in held)


def tree_of_tar(raw):
    """Builds the tree of a tar bottom-up: what it has must be the whole tree. Answers it, and its files' contents."""
    tree, contents = {}, {}
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            parts = member.name.encode("utf-8", "surrogateescape").split(b"/")
            folder = tree
            for part in parts[:-1]:
                folder = folder[part]
            if member.isdir():
                folder[parts[-1]] = {}
            elif member.issym():
                folder[parts[-1]] = (b"l", member.linkname.encode("utf-8", "surrogateescape"), None)
            else:
                data = tar.extractfile(member).read()
                digest = sha(FILE + data)
                contents[digest] = data
                folder[parts[-1]] = (b"x" if member.mode & 0o111 else b"f", len(data), digest)
    objects = {}

    def build(folder):
        entries = []
        for name in sorted(folder):
            found = folder[name]
            entries.append((name, b"d", None, build(found)) if isinstance(found, dict) else (name, *found))
        digest, made = encode_folder(entries)
        objects.update(made)
        return digest

    return build(tree), objects, contents


def check_index(data, root, tar, packed_size):
    cursor = Cursor(data)
    need(cursor.take(len(INDEX)) == INDEX, "magic")
    objects, wanted = {}, {root}
    for _ in range(cursor.uint(4)):
        accept(cursor.take(cursor.uint(4)), wanted, objects, {})
    need(not wanted, "objects are missing")
    frames = [(cursor.uint(4), cursor.uint(4)) for _ in range(cursor.uint(4))]
    need(sum(packed for packed, _ in frames) == packed_size, "packed bytes")
    need(sum(unpacked for _, unpacked in frames) == len(tar), "unpacked bytes")
    blocks = [cursor.uint(2) for _ in range(cursor.uint(4))]
    cursor.end()
    at, entries = 0, list(expand(root, objects))
    need(len(blocks) == len(entries), "as many headers as entries")
    for count, (path, letter, size, digest) in zip(blocks, entries):
        at += count * 512
        if letter in b"fx":
            need(sha(FILE + tar[at : at + size]) == digest, "a file is not where the index says")
            at += -(-size // 512) * 512
    return objects


def check_delta(data, old, new, objects, contents):
    """What the old tree has, and the delta: together the whole new tree."""
    cursor = Cursor(data)
    need(cursor.take(len(DELTA)) == DELTA and cursor.take(32) == old and cursor.take(32) == new, "head")
    made, wanted = {}, {new} - set(objects)
    contents, came = dict(contents), set()
    while cursor.at < len(data):
        kind, digest = cursor.uint(1), cursor.take(32)
        body = cursor.take(cursor.uint(8))
        if kind == 1:
            need(not came and sha(body) == digest, "an object behind a file, or other bytes")
            accept(body, wanted, made, objects)
        else:
            need(kind == 2 and not wanted and sha(FILE + body) == digest and digest not in contents, "a file")
            came.add(digest)
            contents[digest] = body
    need(not wanted, "objects are missing")
    for _, letter, size, digest in expand(new, {**objects, **made}):
        need(letter not in b"fx" or len(contents[digest]) == size, "a size")
    return len(made), len(came)


def main(folder):
    vectors = json.loads((folder / "vectors.json").read_text())
    trees = {}
    for name in ("first", "second"):
        file = folder / f"{name}.tree"
        root, wanted = sha(file.read_bytes()), vectors[name]
        need(f"sha256:{root.hex()}" == wanted["digest"], f"the digest of {name}")
        tar = Path(f"{file}.full.raw").read_bytes()
        built, objects, contents = tree_of_tar(tar)
        need(built == root and objects[root] == file.read_bytes(), f"the tar of {name} is that tree")
        need(listing(root, objects) == wanted["entries"], f"the entries of {name}")
        index = check_index(Path(f"{file}.index.raw").read_bytes(), root, tar, Path(f"{file}.full").stat().st_size)
        need(index == objects, f"the objects of the index of {name}")
        trees[name] = root, objects, contents
        print(f"{name}: {len(objects)} objects, {len(wanted['entries'])} entries")
    (old, objects, contents), (new, *_) = trees["first"], trees["second"]
    delta = folder / f"second.tree.from-{old.hex()}.raw"
    print("delta: %d objects, %d files" % check_delta(delta.read_bytes(), old, new, objects, contents))
    for vector in vectors["objects"]:
        data = bytes.fromhex(vector["hex"])
        try:
            parse_object(data)
            taken = True
        except Refused:
            taken = False
        need(taken == (vector["digest"] is not None), vector["what"])
        need(not taken or sha(data).hex() == vector["digest"], vector["what"])
    print(f"objects: {len(vectors['objects'])} as said")


main(Path(sys.argv[1]))
