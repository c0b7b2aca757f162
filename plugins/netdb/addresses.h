/*
 * Codecs for the resolver's types (taskcache/plugin.h): an example of values with pointers in them
 * that the program frees by a function of their library.
 */
#ifndef PLUGINS_NETDB_ADDRESSES_H
#define PLUGINS_NETDB_ADDRESSES_H

#include <taskcache/plugin.h>

/* Set by the plugin's init. */
extern const struct taskcache_host *addresses_host;

/* `struct addrinfo` as getaddrinfo() takes it: what to look for. */
int digest_hints(void *data, const struct taskcache_call *call, const void *object,
                 struct taskcache_digest *digest, struct taskcache_error *error);

/* `struct sockaddr` of the length that the parameter `address_len` says. */
int digest_address(void *data, const struct taskcache_call *call, const void *object,
                   struct taskcache_digest *digest, struct taskcache_error *error);

/* `struct addrinfo **`: a list that freeaddrinfo() will free. */
int encode_addresses(void *data, const struct taskcache_call *call, const void *object,
                     struct taskcache_cursor *to, struct taskcache_error *error);
int decode_addresses(void *data, const struct taskcache_call *call, const void *bytes,
                     uint64_t count, void **object, struct taskcache_error *error);

#endif
