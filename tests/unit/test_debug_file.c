/* Names of static functions of stripped objects: debug files by build-id and link, packed symbols.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/reason.h"
#include "service/resolve/elf_function.h"
#include "tests/unit/elf_fixture.h"

#define SOURCE                                                                   \
    "#include <stdlib.h>\n"                                                      \
    "static __attribute__((noinline)) int local(int n) { return n * rand(); }\n" \
    "int shared(int n) { return local(n) + rand(); }\n"

static char root[512];

/* full.so has everything, lib.so nothing, x.debug the rest. */
static void build(const struct elf_dir *d, const char *flags)
{
    char command[512];

    elf_write(d, "lib.c", SOURCE);
    (void)snprintf(command, sizeof command, "gcc -shared -fPIC -O2 -g %s -o full.so lib.c", flags);
    elf_sh(d, command);
    elf_sh(d, "objcopy --only-keep-debug full.so x.debug && strip -o lib.so full.so");
    elf_path(d, "debugroot", root, sizeof root);
    tc_debug_root = root;
}

static void open_image(const struct elf_dir *d, struct tc_image *ret)
{
    char path[512];

    elf_path(d, "lib.so", path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(tc_image_open_fd(fd, path, ret), 0);
    (void)close(fd);
}

/* Why `local` can't be had in lib.so, 0 if it can; `*ret_file`: from a debug file. */
static uint32_t reason_of(const struct elf_dir *d, int *ret_file)
{
    struct tc_image im;
    struct tc_function f;

    open_image(d, &im);
    (void)tc_function_find(&im, "local", "lib.c", &f);
    assert_int_equal(f.reason == 0, f.bytes != 0);
    if (ret_file != NULL)
        *ret_file = im.debug.file != NULL;
    tc_image_close(&im);
    return f.reason;
}

static void expect(const struct elf_dir *d, const char *command, uint32_t reason)
{
    elf_sh(d, command);
    if (reason_of(d, NULL) != reason)
        fail_msg("after %s: %s", command, tc_reason_info(reason_of(d, NULL))->id);
}

static void by_link(void **state)
{
    const struct elf_dir *d = *state;
    char command[512];

    build(d, "-Wl,--build-id=none");
    expect(d, "true", TC_R_STRIPPED);
    expect(d, "objcopy --add-gnu-debuglink=x.debug lib.so", 0);
    expect(d, "mkdir .debug && mv x.debug .debug", 0);
    (void)snprintf(command, sizeof command,
                   "mkdir -p debugroot/%s && mv .debug/x.debug debugroot/%s/", d->path, d->path);
    expect(d, command, 0);
    (void)snprintf(command, sizeof command, "mv debugroot/%s/x.debug .", d->path);
    expect(d, command, 0);
    expect(d, "printf x >>x.debug", TC_R_STRIPPED); /* another checksum */
}

static void by_build_id(void **state)
{
    const struct elf_dir *d = *state;
    struct tc_image im;

    build(d, "-Wl,--build-id=0xabcdef0123");
    expect(d, "true", TC_R_STRIPPED);
    open_image(d, &im);
    assert_int_equal(im.debug.looked_count, 1);
    assert_non_null(strstr(im.debug.looked[0].path, "/debugroot/.build-id/ab/cdef0123.debug"));
    assert_int_equal(im.debug.looked[0].id.ino, 0);
    tc_image_close(&im);
    expect(d, "mkdir -p debugroot/.build-id/ab && cp x.debug debugroot/.build-id/ab/cdef0123.debug",
           0);
    open_image(d, &im);
    assert_int_not_equal(im.debug.looked[0].id.ino, 0);
    assert_ptr_equal(tc_debug_info(im.elf, &im.debug), im.debug.file);
    tc_image_close(&im);
    /* Somebody else's. */
    build(d, "-Wl,--build-id=0xabcdef0124");
    expect(d, "cp x.debug debugroot/.build-id/ab/cdef0123.debug", TC_R_STRIPPED);
    build(d, "-Wl,--build-id=0xabcdef0123");
    expect(d, "echo no >debugroot/.build-id/ab/cdef0123.debug", TC_R_STRIPPED);
}

static void packed(void **state)
{
    const struct elf_dir *d = *state;
    int file = 1;

    if (!elf_have("xz"))
        skip();
    build(d, "-Wl,--build-id=none");
    elf_sh(d, "strip -g -o mini full.so && objcopy -S --keep-symbol=local mini && xz mini");
    elf_sh(d, "cp lib.so plain.so && objcopy --add-section .gnu_debugdata=mini.xz lib.so");
    struct tc_image im;
    struct tc_function f;
    open_image(d, &im);
    assert_int_equal(tc_function_find(&im, "local", "", &f), 1);
    assert_int_equal(f.reason, 0);
    assert_true(f.is_static);
    tc_image_close(&im);
    /* Damaged at every place: no names, no crash. */
    size_t bytes;
    unsigned char *data = elf_read(d, "mini.xz", &bytes);
    for (size_t i = 0; i < bytes; i += 7) {
        void *out = NULL;
        size_t out_bytes = 0;
        data[i] ^= 0x41;
        if (tc_debug_unpack(data, bytes, &out, &out_bytes) == 0)
            free(out);
        data[i] ^= 0x41;
        assert_int_equal(tc_debug_unpack(data, i, &out, &out_bytes), -EBADMSG);
    }
    free(data);
    expect(d,
           "head -c 40 mini.xz >short.xz && cp plain.so lib.so && "
           "objcopy --add-section .gnu_debugdata=short.xz lib.so",
           TC_R_STRIPPED);
    (void)reason_of(d, &file);
    assert_int_equal(file, 0);
}

static void nothing_is_looked_for_when_all_is_there(void **state)
{
    const struct elf_dir *d = *state;
    struct tc_image im;

    build(d, "-Wl,--build-id=0xabcdef0123");
    elf_sh(d, "cp full.so lib.so");
    open_image(d, &im);
    assert_int_equal(im.debug.looked_count, 0);
    assert_ptr_equal(tc_debug_info(im.elf, &im.debug), im.elf);
    tc_image_close(&im);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_link, elf_dir_setup, elf_dir_teardown),
        cmocka_unit_test_setup_teardown(by_build_id, elf_dir_setup, elf_dir_teardown),
        cmocka_unit_test_setup_teardown(packed, elf_dir_setup, elf_dir_teardown),
        cmocka_unit_test_setup_teardown(nothing_is_looked_for_when_all_is_there, elf_dir_setup,
                                        elf_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
