# Calls the compressors of plugins/compress as they are in Debian's libraries; what they return and write goes into the file that is named.
import ctypes
import random
import sys

from ctypes import byref, c_int, c_size_t, c_uint, c_uint32, c_uint64, c_ulong, c_void_p

out = open(sys.argv[1], "wb")
random.seed(17)
source = bytes(random.choice(b"abcdefgh") for _ in range(60000))
room = ctypes.create_string_buffer(200000)


def library(name):
    return ctypes.CDLL(name)


def keep(name, returned, count):
    out.write(f"{name} {returned} {count}\n".encode())
    out.write(room.raw[:count] if count > 0 else b"")


z = library("libz.so.1")
for name, length, level in (("compress2", 200000, [9]), ("compress2", 200000, [1]), ("compress2", 100, [9]), ("compress", 200000, [])):
    n = c_ulong(length)
    r = getattr(z, name)(room, byref(n), source, c_ulong(len(source)), *level)
    keep(name, r, n.value if r == 0 else 0)

zstd = library("libzstd.so.1")
for f in ("ZSTD_compress", "ZSTD_compressCCtx", "ZSTD_compress2"):
    getattr(zstd, f).restype = ctypes.c_ssize_t
for f in ("ZSTD_createCCtx", "ZSTD_createCDict"):
    getattr(zstd, f).restype = c_void_p
for capacity in (200000, 1000):
    r = zstd.ZSTD_compress(room, c_size_t(capacity), source, c_size_t(len(source)), 7)
    keep("ZSTD_compress", r, r)
context = c_void_p(zstd.ZSTD_createCCtx())
r = zstd.ZSTD_compressCCtx(context, room, c_size_t(200000), source, c_size_t(len(source)), 5)
keep("ZSTD_compressCCtx", r, r)


def compress2(what, length=3000):
    r = zstd.ZSTD_compress2(context, room, c_size_t(200000), source, c_size_t(length))
    keep(what, r, r)


compress2("by default")
for parameter, value in ((100, 9), (201, 1), (200, 0), (101, 12)):  # level, checksum, content size, window
    zstd.ZSTD_CCtx_setParameter(context, parameter, value)
    compress2(f"{parameter} = {value}", len(source))
zstd.ZSTD_CCtx_loadDictionary(context, source, c_size_t(1000))
compress2("with a dictionary")
zstd.ZSTD_CCtx_loadDictionary(context, None, c_size_t(0))
compress2("without")
zstd.ZSTD_CCtx_refPrefix(context, source, c_size_t(1000))
compress2("with a prefix")
compress2("which counts once")
dictionary = c_void_p(zstd.ZSTD_createCDict(source, c_size_t(1000), 3))
zstd.ZSTD_CCtx_refCDict(context, dictionary)
compress2("with a digested dictionary")

bz2 = library("libbz2.so.1.0")
n = c_uint(200000)
r = bz2.BZ2_bzBuffToBuffCompress(room, byref(n), source, c_uint(len(source)), 9, 0, 0)
keep("bzip2", r, n.value)


class Filter(ctypes.Structure):
    _fields_ = [("id", c_uint64), ("options", c_void_p)]


lzma = library("liblzma.so.5")
END, LZMA2, X86 = Filter(0xFFFFFFFFFFFFFFFF, None), 0x21, 0x04
options = (c_uint32 * 64)()
lzma.lzma_lzma_preset(options, c_uint32(6))
position = c_size_t(0)
r = lzma.lzma_easy_buffer_encode(c_uint32(6), 1, None, source, c_size_t(len(source)), room, byref(position), c_size_t(200000))
keep("xz", r, position.value)
for x86, dictionary_bytes, capacity in ((0, 65536, 200000), (0, 4096, 200000), (1, 65536, 200000), (0, 65536, 1000)):
    options[0] = dictionary_bytes
    last = Filter(LZMA2, ctypes.addressof(options))
    filters = (Filter * 3)(*([Filter(X86, None), last, END] if x86 else [last, END, END]))
    position = c_size_t(0)
    r = lzma.lzma_stream_buffer_encode(filters, 1, None, source, c_size_t(len(source)), room, byref(position), c_size_t(capacity))
    keep("xz by filters", r, position.value)

lz4 = library("liblz4.so.1")
for capacity in (200000, 1000):
    r = lz4.LZ4_compress_default(source, room, len(source), capacity)
    keep("lz4", r, r)
    r = lz4.LZ4_compress_HC(source, room, len(source), capacity, 12)
    keep("lz4 -Xhc", r, r)

lzo = library("liblzo2.so.2")
n, memory = c_size_t(0), ctypes.create_string_buffer(14 * 16384 * 8)
r = lzo.lzo1x_999_compress_level(source, c_size_t(len(source)), room, byref(n), memory, None, c_size_t(0), None, 8)
keep("lzo", r, n.value)

brotli = library("libbrotlienc.so.1")
for capacity in (200000, 100):
    n = c_size_t(capacity)
    r = brotli.BrotliEncoderCompress(5, 22, 0, c_size_t(len(source)), source, byref(n), room)
    keep("brotli", r, n.value if r else 0)
