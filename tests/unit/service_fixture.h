/*
 * The built taskcached in a cache of its own, and a client that speaks cache/wire.h by hand.
 * Failures end the test.
 */
#pragma once

#include <sys/types.h>

#include "cache/wire.h"
#include "tests/unit/store_fixture.h"

/* Runs `taskcached` with these arguments (NULL-terminated, without the name), HOME and
 * XDG_RUNTIME_DIR inside the place; *ret_line gets what it says when it is ready, at most 511
 * bytes. The process stays our child (--foreground is added). */
/* Not 0: a service stays when the process that called service_run() ends. */
extern int service_outlives_starter;
pid_t service_run(const struct place *p, const char *const *arguments, char *ret_line);

/* Serves the place's cache; `idle_exit` seconds, 0: never. */
pid_t service_start(const struct place *p, int idle_exit);
/* As an exit status; -1 if it is still there after `ms`; 256 + the signal that killed it. */
int service_wait(pid_t pid, int ms);
/* By a message; waits for the end. */
void service_quit(const struct place *p, pid_t pid);

void socket_path(const struct place *p, char *ret, size_t bytes);

struct client {
    int fd;
    uint64_t seq;
};
void client_open(const struct place *p, struct client *c);
/* -ECONNREFUSED, -ENOENT, ...; 0. */
int client_try(const struct place *p, struct client *c);
void client_close(struct client *c);

/* `bytes` with the header that is filled in here; the seq. */
uint64_t client_send(struct client *c, void *message, enum tc_message_type type, size_t bytes,
                     int fd);
/* The next reply; fails after 10 s. */
struct tc_reply client_reply(struct client *c);
/* Is the connection closed by the service (within 2 s)? */
int client_is_closed(struct client *c);
/* Is there a reply within `ms`? */
int client_has_reply(struct client *c, int ms);

struct tc_reply client_hello(struct client *c);
struct tc_reply client_simple(struct client *c, enum tc_message_type type);
/* Sends a record in the packet or by memfd; doesn't wait. */
uint64_t client_store(struct client *c, const struct draft_spec *spec, int by_memfd);
struct tc_reply client_config(struct client *c, const char *path);
/* One message for these objects. */
struct tc_reply client_plan(struct client *c, const char *config, const char *const *objects,
                            size_t count);
/* Its size. */
long file_id(const char *path, struct tc_file_id *ret);
void write_file(const char *path, const char *text);
