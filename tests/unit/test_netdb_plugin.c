/* plugins/netdb: lists of addresses there and back, and bytes that aren't one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/netdb/addresses.h"

#define ROOM 4096

static unsigned allocations_left;
static int blocks; /* that are allocated now */

static void *allocate(uint64_t bytes)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    blocks++;
    return malloc(bytes);
}

static void release(void *memory)
{
    blocks--;
    free(memory);
}

static void cause(struct taskcache_error *error, const char *text)
{
    (void)error;
    assert_true(text[0] != 0);
}

/* A digest that tells its bytes. */
static unsigned char digested[256];
static size_t digested_bytes;

static void add(struct taskcache_digest *digest, const void *bytes, uint64_t count)
{
    (void)digest;
    assert_true(digested_bytes + count <= sizeof digested);
    memcpy(digested + digested_bytes, bytes, count);
    digested_bytes += count;
}

static const struct taskcache_host host = {.struct_size = sizeof host,
                                           .cause = cause,
                                           .add = add,
                                           .allocate = allocate,
                                           .release = release};

static int set_up(void **state)
{
    (void)state;
    addresses_host = &host;
    allocations_left = UINT32_MAX;
    blocks = 0;
    digested_bytes = 0;
    return 0;
}

/* Three nodes: IPv4 with a name, IPv6, one without an address. */
static uint64_t encode(unsigned char *bytes, uint64_t room)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = 0x5000, .sin_addr = {0x0100007f}};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_scope_id = 3};
    char name[] = "localhost";
    struct addrinfo third = {.ai_flags = 7};
    struct addrinfo second = {.ai_family = AF_INET6,
                              .ai_addr = (struct sockaddr *)(void *)&v6,
                              .ai_addrlen = sizeof v6,
                              .ai_next = &third};
    struct addrinfo first = {.ai_family = AF_INET,
                             .ai_socktype = SOCK_STREAM,
                             .ai_protocol = 6,
                             .ai_addr = (struct sockaddr *)(void *)&v4,
                             .ai_addrlen = sizeof v4,
                             .ai_canonname = name,
                             .ai_next = &second};
    const struct addrinfo *list = &first;
    struct taskcache_cursor to = {bytes, room, 0};

    assert_int_equal(encode_addresses(NULL, NULL, &list, &to, NULL), 0);
    return to.used;
}

static int decode(const unsigned char *bytes, uint64_t count, struct addrinfo **ret)
{
    void *object = ret;

    return decode_addresses(NULL, NULL, bytes, count, &object, NULL);
}

static void free_list(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        if (list->ai_canonname != NULL)
            release(list->ai_canonname);
        release(list);
        list = next;
    }
    assert_int_equal(blocks, 0);
}

static void a_list_comes_back(void **state)
{
    unsigned char bytes[ROOM], again[ROOM];
    uint64_t count = encode(bytes, sizeof bytes);
    struct addrinfo *list = NULL;
    struct taskcache_cursor to = {again, sizeof again, 0};
    const struct sockaddr_in *v4;

    (void)state;
    assert_int_equal(encode(NULL, 0), count); /* says what it needs */
    assert_int_equal(decode(bytes, count, &list), 0);
    assert_string_equal(list->ai_canonname, "localhost");
    v4 = (const void *)list->ai_addr;
    assert_int_equal(v4->sin_port, 0x5000);
    assert_int_equal(list->ai_next->ai_addrlen, sizeof(struct sockaddr_in6));
    assert_null(list->ai_next->ai_next->ai_addr);
    assert_null(list->ai_next->ai_next->ai_next);
    assert_int_equal(encode_addresses(NULL, NULL, &list, &to, NULL), 0);
    assert_int_equal(to.used, count);
    assert_memory_equal(again, bytes, count);
    free_list(list);
}

static void the_librarys_own_function_frees_it(void **state)
{
    unsigned char bytes[ROOM];
    struct addrinfo *list = NULL;

    (void)state;
    assert_int_equal(decode(bytes, encode(bytes, sizeof bytes), &list), 0);
    freeaddrinfo(list); /* a sanitizer sees what is left, or freed twice */
}

static void other_bytes_change_and_keep_nothing(void **state)
{
    unsigned char bytes[ROOM], changed[ROOM];
    uint64_t count = encode(bytes, sizeof bytes);

    (void)state;
    for (uint64_t cut = 1; cut < count; cut++) {
        unsigned char *copy = malloc(cut);
        struct addrinfo *list = (struct addrinfo *)(void *)bytes;
        memcpy(copy, bytes, cut);
        if (decode(copy, cut, &list) == 0) /* cut between two nodes */
            free_list(list);
        else
            assert_ptr_equal(list, bytes);
        free(copy);
        assert_int_equal(blocks, 0);
    }
    for (uint64_t at = 0; at < count; at++) {
        struct addrinfo *list = NULL;
        memcpy(changed, bytes, count);
        changed[at] ^= 0xff;
        if (decode(changed, count, &list) == 0)
            free_list(list);
        assert_int_equal(blocks, 0);
    }
}

static void no_memory_keeps_nothing(void **state)
{
    unsigned char bytes[ROOM];
    uint64_t count = encode(bytes, sizeof bytes);
    struct addrinfo *list = NULL;

    (void)state;
    for (unsigned n = 0; n < 4; n++) {
        allocations_left = n;
        assert_true(decode(bytes, count, &list) < 0);
        assert_null(list);
        assert_int_equal(blocks, 0);
    }
}

static void padding_isnt_digested(void **state)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = 1};
    struct taskcache_value length = {.name = "address_len", .integer = sizeof v4};
    struct taskcache_call call = {.value_size = sizeof length, .values = &length, .value_count = 1};
    unsigned char first[sizeof digested];
    size_t bytes;

    (void)state;
    assert_int_equal(digest_address(NULL, &call, &v4, NULL, NULL), 0);
    bytes = digested_bytes;
    memcpy(first, digested, bytes);
    digested_bytes = 0;
    memset(v4.sin_zero, 0x5a, sizeof v4.sin_zero);
    assert_int_equal(digest_address(NULL, &call, &v4, NULL, NULL), 0);
    assert_int_equal(digested_bytes, bytes);
    assert_memory_equal(digested, first, bytes);
    v4.sin_port = 2;
    digested_bytes = 0;
    assert_int_equal(digest_address(NULL, &call, &v4, NULL, NULL), 0);
    assert_memory_not_equal(digested, first, bytes);
    length.integer = 2; /* too short to be one */
    assert_true(digest_address(NULL, &call, &v4, NULL, NULL) < 0);
    length.integer = sizeof v4;
    v4.sin_family = AF_UNIX;
    assert_true(digest_address(NULL, &call, &v4, NULL, NULL) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_list_comes_back, set_up),
        cmocka_unit_test_setup(the_librarys_own_function_frees_it, set_up),
        cmocka_unit_test_setup(other_bytes_change_and_keep_nothing, set_up),
        cmocka_unit_test_setup(no_memory_keeps_nothing, set_up),
        cmocka_unit_test_setup(padding_isnt_digested, set_up),
    };

    return cmocka_run_group_tests_name("netdb_plugin", tests, NULL, NULL);
}
