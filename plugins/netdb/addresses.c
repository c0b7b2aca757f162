#include "addresses.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

const struct taskcache_host *addresses_host;

static int fail(struct taskcache_error *error, const char *why)
{
    addresses_host->cause(error, why);
    return -EINVAL;
}

int digest_hints(void *data, const struct taskcache_call *call, const void *object,
                 struct taskcache_digest *digest, struct taskcache_error *error)
{
    const struct addrinfo *h = object;
    const int is[] = {h->ai_flags, h->ai_family, h->ai_socktype, h->ai_protocol};

    (void)data;
    (void)call;
    (void)error;
    addresses_host->add(digest, is, sizeof is);
    return 0;
}

/* Member by member: the padding of an IPv4 address may hold anything. */
int digest_address(void *data, const struct taskcache_call *call, const void *object,
                   struct taskcache_digest *digest, struct taskcache_error *error)
{
    const struct taskcache_value *length = taskcache_value(call, "address_len");
    uint64_t bytes = length != NULL ? (uint64_t)length->integer : 0;
    const struct sockaddr *a = object;
    const struct sockaddr_in *v4 = object;
    const struct sockaddr_in6 *v6 = object;

    (void)data;
    if (bytes >= sizeof *v4 && a->sa_family == AF_INET) {
        addresses_host->add(digest, &v4->sin_family, sizeof v4->sin_family);
        addresses_host->add(digest, &v4->sin_port, sizeof v4->sin_port);
        addresses_host->add(digest, &v4->sin_addr, sizeof v4->sin_addr);
    } else if (bytes >= sizeof *v6 && a->sa_family == AF_INET6) {
        addresses_host->add(digest, &v6->sin6_family, sizeof v6->sin6_family);
        addresses_host->add(digest, &v6->sin6_port, sizeof v6->sin6_port);
        addresses_host->add(digest, &v6->sin6_addr, sizeof v6->sin6_addr);
        addresses_host->add(digest, &v6->sin6_scope_id, sizeof v6->sin6_scope_id);
    } else {
        return fail(error, "an address of another family than IPv4 and IPv6");
    }
    return 0;
}

/* Each node of the list: this, `address` bytes, `name` bytes with their NUL. */
struct node {
    int32_t flags, family, socktype, protocol;
    uint32_t address, name;
};

int encode_addresses(void *data, const struct taskcache_call *call, const void *object,
                     struct taskcache_cursor *to, struct taskcache_error *error)
{
    const struct addrinfo *const *list = object;

    (void)data;
    (void)call;
    (void)error;
    for (const struct addrinfo *a = *list; a != NULL; a = a->ai_next) {
        const struct node n = {
            .flags = a->ai_flags,
            .family = a->ai_family,
            .socktype = a->ai_socktype,
            .protocol = a->ai_protocol,
            .address = a->ai_addr != NULL ? a->ai_addrlen : 0,
            .name = a->ai_canonname != NULL ? (uint32_t)strlen(a->ai_canonname) + 1 : 0,
        };
        taskcache_put(to, &n, sizeof n);
        taskcache_put(to, a->ai_addr, n.address);
        taskcache_put(to, a->ai_canonname, n.name);
    }
    return 0;
}

/* As freeaddrinfo() of glibc does it. */
static void release(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        if (list->ai_canonname != NULL)
            addresses_host->release(list->ai_canonname);
        addresses_host->release(list);
        list = next;
    }
}

/* In one block with its address, the name in one of its own: so that freeaddrinfo() finds it. */
static struct addrinfo *make_node(const struct node *n, const unsigned char *address,
                                  const unsigned char *name)
{
    struct addrinfo *a = addresses_host->allocate(sizeof *a + n->address);

    if (a == NULL)
        return NULL;
    *a = (struct addrinfo){
        .ai_flags = n->flags,
        .ai_family = n->family,
        .ai_socktype = n->socktype,
        .ai_protocol = n->protocol,
        .ai_addrlen = n->address,
    };
    if (n->address != 0) {
        a->ai_addr = (struct sockaddr *)(void *)(a + 1);
        memcpy(a->ai_addr, address, n->address);
    }
    if (n->name == 0)
        return a;
    a->ai_canonname = addresses_host->allocate(n->name);
    if (a->ai_canonname == NULL) {
        addresses_host->release(a);
        return NULL;
    }
    memcpy(a->ai_canonname, name, n->name);
    return a;
}

static int decode_node(const unsigned char **at, const unsigned char *end, struct addrinfo **ret)
{
    struct node n;
    uint64_t left = (uint64_t)(end - *at);

    if (left < sizeof n)
        return -EBADMSG;
    memcpy(&n, *at, sizeof n);
    left -= sizeof n;
    *at += sizeof n;
    if (n.address > left || n.name > left - n.address ||
        (n.name != 0 && (*at)[n.address + (uint64_t)n.name - 1] != 0))
        return -EBADMSG;
    *ret = make_node(&n, *at, *at + n.address);
    *at += n.address + (uint64_t)n.name;
    return *ret != NULL ? 0 : -ENOMEM;
}

int decode_addresses(void *data, const struct taskcache_call *call, const void *bytes,
                     uint64_t count, void **object, struct taskcache_error *error)
{
    const unsigned char *at = bytes, *end = at + count;
    struct addrinfo *first = NULL, **tail = &first;
    int r = 0;

    (void)data;
    (void)call;
    while (r == 0 && at < end) {
        r = decode_node(&at, end, tail);
        if (r == 0)
            tail = &(*tail)->ai_next;
    }
    if (r < 0) {
        release(first);
        addresses_host->cause(error, "the list can't be made");
        return r;
    }
    *(struct addrinfo **)*object = first;
    return 0;
}
