/*
 * getaddrinfo() and getnameinfo(): answers of the resolver, kept for a minute. What they depend on
 * can't all be named, hence the expiration; what can is in the key: the arguments, which files
 * configure the resolver (hosts, resolv.conf, ...), the environment's say, and the network
 * namespace.
 */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "addresses.h"

#define KEPT "60s"

static const struct taskcache_task tasks[] = {
    /* A name that isn't there, or a server that doesn't answer, is asked for again each time. */
    TASKCACHE_TASK(.symbol = "getaddrinfo@libc.so*",
                   .prototype = "int getaddrinfo(const char *node, const char *service,\n"
                                "    codec(hints) const struct addrinfo *hints,\n"
                                "    out codec(addresses) struct addrinfo **list)",
                   .types = "struct addrinfo;",
                   .cache_policy = "INPUTS + TASK_SOURCE_DEEP + KEY(netdb.resolver)",
                   .success = "return == 0", .cache_expiration = KEPT),
    TASKCACHE_TASK(.symbol = "getnameinfo@libc.so*",
                   .prototype =
                       "int getnameinfo(codec(address) const struct sockaddr *address,\n"
                       "    unsigned int address_len,\n"
                       "    out char host[host == NULL || host_len == 0 ? 0 : strlen(host) + 1\n"
                       "                  <= host == NULL ? 0 : host_len], unsigned int host_len,\n"
                       "    out char service[service == NULL || service_len == 0 ? 0\n"
                       "                     : strlen(service) + 1\n"
                       "                     <= service == NULL ? 0 : service_len],\n"
                       "    unsigned int service_len, int flags)",
                   .types = "struct sockaddr;",
                   .cache_policy = "INPUTS + TASK_SOURCE_DEEP + KEY(netdb.resolver)",
                   .success = "return == 0", .cache_expiration = KEPT),
};

/* Which file it is, and whether it was written to; nothing if it isn't there. */
static void put_file(struct taskcache_cursor *key, const char *path)
{
    struct stat st;
    int64_t is[5] = {0};

    if (stat(path, &st) == 0) {
        is[0] = (int64_t)st.st_dev;
        is[1] = (int64_t)st.st_ino;
        is[2] = st.st_size;
        is[3] = st.st_mtim.tv_sec;
        is[4] = st.st_mtim.tv_nsec;
    }
    taskcache_put(key, is, sizeof is);
}

/* Of a namespace only its identity counts: its times are those of the /proc entry. */
static void put_namespace(struct taskcache_cursor *key, const char *path)
{
    struct stat st;
    int64_t is[2] = {0};

    if (stat(path, &st) == 0) {
        is[0] = (int64_t)st.st_dev;
        is[1] = (int64_t)st.st_ino;
    }
    taskcache_put(key, is, sizeof is);
}

/* KEY(netdb.resolver). */
static int resolver(void *data, const struct taskcache_call *call, struct taskcache_cursor *key,
                    struct taskcache_error *error)
{
    static const char *const files[] = {"/etc/hosts",    "/etc/resolv.conf", "/etc/nsswitch.conf",
                                        "/etc/gai.conf", "/etc/services",    "/etc/host.conf"};
    static const char *const names[] = {"RES_OPTIONS", "LOCALDOMAIN", "HOSTALIASES"};

    (void)data;
    (void)call;
    (void)error;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        put_file(key, files[i]);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        taskcache_put(key, value != NULL ? value : "", value != NULL ? strlen(value) + 1 : 0);
        taskcache_put(key, "", 1);
    }
    put_namespace(key, "/proc/thread-self/ns/net");
    return 0;
}

static int init(const struct taskcache_host *host, struct taskcache_error *error)
{
    static const struct taskcache_key_function key = {
        .struct_size = sizeof key, .name = "resolver", .compute = resolver};
    static const struct taskcache_codec hints = {
        .struct_size = sizeof hints, .data_version = 1, .name = "hints", .digest = digest_hints};
    static const struct taskcache_codec address = {.struct_size = sizeof address,
                                                   .data_version = 1,
                                                   .name = "address",
                                                   .digest = digest_address};
    static const struct taskcache_codec addresses = {.struct_size = sizeof addresses,
                                                     .data_version = 1,
                                                     .name = "addresses",
                                                     .encode = encode_addresses,
                                                     .decode = decode_addresses};
    int r = host->add_key_function(host, &key);

    (void)error;
    addresses_host = host;
    if (r == 0)
        r = host->add_codec(host, &hints);
    if (r == 0)
        r = host->add_codec(host, &address);
    return r != 0 ? r : host->add_codec(host, &addresses);
}

TASKCACHE_PLUGIN_WITH_CODE("netdb", "1.0", "MIT", "Answers of the resolver, for a minute", tasks,
                           TASKCACHE_THREAD_SAFE | TASKCACHE_FORK_SAFE, init);
