"""Programs that nobody here wrote, as Debian ships them: stripped, without debug information, unmodified."""
import pathlib

from harness import Failure, contains, equal

ROOT = pathlib.Path(__file__).resolve().parents[2]

NUMPY = """
import sys, numpy
random = numpy.random.default_rng(7)
a = random.standard_normal((160, 160))
wide = random.standard_normal((60, 150))
tall = random.standard_normal((150, 60))
out = sys.stdout.buffer
for m in (a, wide, tall, wide.T.copy(), numpy.asfortranarray(a)[:100, :80]):
    for full in (True, False):
        for r in numpy.linalg.svd(m, full_matrices=full):
            out.write(numpy.ascontiguousarray(r).tobytes())
    out.write(numpy.linalg.svd(m, compute_uv=False).tobytes())
s = a + a.T
for uplo in "LU":
    for r in numpy.linalg.eigh(s, UPLO=uplo):
        out.write(numpy.ascontiguousarray(r).tobytes())
    out.write(numpy.linalg.eigvalsh(s, UPLO=uplo).tobytes())
"""


def hits(t, config=None):
    s = t.stats(config)
    return s["hits"], s["misses"]


def test_numpy_svd_and_eigh_replay_bit_by_bit(t):
    script = t.write("linalg.py", NUMPY)
    bare = t.bare(["/usr/bin/python3", script])
    options = ["--plugin", "lapack"]
    first = t.run(["/usr/bin/python3", script], options=options)
    equal(first.out == bare.out, True, "the first run's bytes")
    h, m = hits(t)
    if m < 15:
        raise Failure(f"only {m} misses: the LAPACK functions weren't hooked")
    second = t.run(["/usr/bin/python3", script], options=options)
    equal(second.out == bare.out, True, "the second run's bytes")
# A driver that calls another counts both when it runs, and itself when it is replayed.
    now = hits(t)
    equal(now[1], m, "no call of the second run is a miss")
    if now[0] < h + 15:
        raise Failure(f"only {now[0] - h} hits in the second run")
    # Where resolving takes more than a second, `cachectl run` says what it waits for.
    told = [line for line in first.err.splitlines() if not line.startswith(b"cachectl: resolving ")]
    equal((told, second.err), ([], b""))


GPG = """
tasks:
  - symbol: gcry_kdf_derive@libgcrypt.so*
    prototype: |
      int gcry_kdf_derive(const void passphrase[passphraselen], size_t passphraselen, int algo, int subalgo,
                          const void salt[saltlen], size_t saltlen, unsigned long iterations,
                          size_t keysize, out void keybuffer[keysize])
    cache_policy: INPUTS + TASK_SOURCE
    success: 'return == 0'
"""


def test_gpg_derives_a_key_once(t):
    home = t.dir / "gnupg"
    home.mkdir(mode=0o700)
    t.env["GNUPGHOME"] = str(home)
    plain = t.write("message.txt", "the message\n")
    gpg = ["gpg", "--batch", "--quiet", "--passphrase", "secret", "--pinentry-mode", "loopback"]
    t.bare([*gpg, "--s2k-count", "65011712", "--s2k-digest-algo", "SHA512", "-o", t.dir / "message.gpg", "-c", plain])
    config = t.config(GPG)
    decrypt = [*gpg, "-d", t.dir / "message.gpg"]
    bare = t.bare(decrypt)
    for _ in range(2):
        r = t.run(decrypt, config)
        equal((r.out, r.err), (bare.out, bare.err))
    equal(hits(t, config), (1, 1))
    if t.stats(config)["time_saved_ns"] < 30_000_000:
        raise Failure("the derivation takes far longer than that")
    wrong = t.run([*gpg[:4], "wrong", *gpg[5:], "-d", t.dir / "message.gpg"], config, status=2)
    contains(wrong.errors, "Bad session key")


OPENSSL = """
tasks:
  - symbol: PKCS5_PBKDF2_HMAC@libcrypto.so.3
    prototype: |
      int PKCS5_PBKDF2_HMAC(const char pass[passlen], int passlen, const unsigned char salt[saltlen], int saltlen, int iter,
                            ignore const void *digest, int keylen, out unsigned char key[keylen])
    cache_policy: INPUTS + TASK_SOURCE
    success: 'return == 1'
"""


def test_openssl_derives_a_key_once(t):
    config = t.config(OPENSSL)
    plain = t.write("message.txt", "the message\n" * 100)
    encrypt = ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-iter", "600000", "-S", "0102030405060708", "-k", "pw", "-in", plain]
    bare = t.bare(encrypt)
    for _ in range(2):
        equal(t.run(encrypt, config).out, bare.out)
    equal(hits(t, config), (1, 1))
    other = [*encrypt[:-3], "other", *encrypt[-2:]]
    equal(t.run(other, config).out, t.bare(other).out)
    equal(hits(t, config), (1, 2))
