"""plugins/compress: its functions one by one, and mksquashfs, which calls them from several threads. That nothing was compressed is told by the
functions below them in their libraries."""
import collections
import pathlib
import random
import shutil

import witness
from harness import Failure, Later, equal

SCRIPT = pathlib.Path(__file__).resolve().parent / "scripts" / "compress_calls.py"
BELOW = {
    "libzstd.so.1": ["ZSTD_compress_usingDict", "ZSTD_compressStream2_simpleArgs"],
    "liblzma.so.5": ["lzma_block_buffer_encode"],
    "liblzo2.so.2": ["lzo1x_999_compress_internal"],
    "liblz4.so.1": ["LZ4_compress_HC_extStateHC", "LZ4_compress_fast"],
    "libz.so.1": ["deflate"],
    "libbz2.so.1.0": ["BZ2_bzCompress"],
    "libbrotlienc.so.1": ["BrotliEncoderCompressStream"],
}


def watch(t, libraries):
    """Preloads that tell each call."""
    paths = []
    for library in libraries:
        name = witness.build(t, BELOW[library], library, each=True)
        paths.append(str(pathlib.Path(name).rename(t.dir / f"witness-{library}")))
    return {"LD_PRELOAD": ":".join(paths)}


def ran(t):
    lines = t.body_log.read_text().split() if t.body_log.exists() else []
    t.body_log.unlink(missing_ok=True)
    return collections.Counter(lines)


def test_each_compressor(t):
    seen = watch(t, BELOW)
    t.bare(["/usr/bin/python3", SCRIPT, t.dir / "bare"])
    counts = []
    for turn in ("first", "second"):
        t.run(["/usr/bin/python3", SCRIPT, t.dir / turn], options=["--plugin", "compress"], env=seen)
        equal((t.dir / turn).read_bytes() == (t.dir / "bare").read_bytes(), True, f"the {turn} run's bytes")
        counts.append(ran(t))
    first, second = counts
    for names in BELOW.values():
        for name in names:
            equal(first[name] > 0, True, f"{name} ran in the first run")
    # What fails isn't kept (there is no room in zlib's and brotli's buffers), and contexts with dictionaries aren't looked up.
    equal(set(second), {"deflate", "BrotliEncoderCompressStream", "ZSTD_compressStream2_simpleArgs"}, "what ran again")
    equal(second["ZSTD_compressStream2_simpleArgs"], 3, "with a dictionary, a prefix, a digested dictionary")


def files(t):
    """Blocks of 128 KiB of words, one that can't be compressed, small files."""
    tree = t.dir / "tree"
    tree.mkdir()
    r = random.Random(23)
    words = ["".join(r.choice("etaoinshrdlu") for _ in range(r.randint(2, 9))) for _ in range(400)]
    for i in range(4):
        (tree / f"text{i}").write_text(" ".join(r.choice(words) for _ in range(70000)))
    (tree / "random").write_bytes(r.randbytes(300000))
    for i in range(20):
        (tree / f"small{i}").write_text(" ".join(r.choice(words) for _ in range(100)))
    return tree


def image(t, run, tree, name, comp, **kw):
    run(["mksquashfs", tree, t.dir / name, "-comp", *comp, "-noappend", "-no-progress", "-quiet", "-mkfs-time", "0", "-all-time", "0"], **kw)
    return (t.dir / name).read_bytes()


def builds_again(t, library, comp):
    if shutil.which("mksquashfs") is None:
        raise Later("needs mksquashfs")
    seen, tree = watch(t, [library]), files(t)
    cached = {"options": ["--plugin", "compress"], "env": seen}
    bare = image(t, t.bare, tree, "bare.sqfs", comp)
    equal(image(t, t.run, tree, "first.sqfs", comp, **cached) == bare, True, "the first image")
    first = sum(ran(t).values())
    if first < 15:
        raise Failure(f"only {first} blocks were compressed")
    equal(t.stats()["hits"] < first, True, "hits of the first run")
    before = t.stats()
    equal(image(t, t.run, tree, "second.sqfs", comp, **cached) == bare, True, "the second image")
    equal((sum(ran(t).values()), t.stats()["misses"]), (0, before["misses"]), "nothing is compressed in the second run")
    with open(tree / "text2", "a") as f:
        f.write("one line more\n")
    changed = image(t, t.bare, tree, "bare.sqfs", comp)
    equal(changed == bare, False)
    equal(image(t, t.run, tree, "changed.sqfs", comp, **cached) == changed, True, "the image after a change")
    again = sum(ran(t).values())
    if not 1 <= again <= 6:
        raise Failure(f"{again} of {first} blocks were compressed after a small change")


def test_mksquashfs_zstd(t):
    builds_again(t, "libzstd.so.1", ["zstd"])


def test_mksquashfs_zstd_hard(t):
    builds_again(t, "libzstd.so.1", ["zstd", "-Xcompression-level", "19"])


def test_mksquashfs_xz(t):
    builds_again(t, "liblzma.so.5", ["xz"])


def test_mksquashfs_xz_with_a_filter_and_a_dictionary(t):
    builds_again(t, "liblzma.so.5", ["xz", "-Xbcj", "x86", "-Xdict-size", "8K"])


def test_mksquashfs_lzo(t):
    builds_again(t, "liblzo2.so.2", ["lzo"])


def test_mksquashfs_lz4(t):
    builds_again(t, "liblz4.so.1", ["lz4"])


def test_mksquashfs_lz4_hard(t):
    builds_again(t, "liblz4.so.1", ["lz4", "-Xhc"])


def test_mksquashfs_gzip_is_left_out(t):
    """It compresses in steps. The image is right all the same."""
    if shutil.which("mksquashfs") is None:
        raise Later("needs mksquashfs")
    tree = files(t)
    bare = image(t, t.bare, tree, "bare.sqfs", ["gzip"])
    equal(image(t, t.run, tree, "first.sqfs", ["gzip"], options=["--plugin", "compress"]) == bare, True)
    equal(t.stats()["hits"] + t.stats()["misses"], 0)
