/*
 * Messages between targets or cachectl and the service, over one SOCK_SEQPACKET connection,
 * `CACHEID.vWIRE-FLAT.sock` in the runtime directory, after TC_WIRE_VERSION and TC_FLAT_VERSION.
 * One message is one packet. Every request with `seq` != 0 is answered by one reply with the same
 * seq; seq 0 asks for none. Replies come in the order of requests. Both ends check the other's uid
 * (SO_PEERCRED) and every packet's (SO_PASSCRED).
 *
 * Freestanding layouts, little-endian, packed by natural alignment.
 */
#ifndef TC_CACHE_WIRE_H
#define TC_CACHE_WIRE_H

#include <stdint.h>

#include "cache/miss.h"
#include "cache/task.h"

#define TC_WIRE_MAGIC   0x5443u
#define TC_WIRE_VERSION 10u
#define TC_WIRE_MAX_BYTES \
    (128u * 1024u) /* longest packet; more goes by memfd (SCM_RIGHTS, one descriptor) */

enum tc_message_type {
    TC_MSG_HELLO =
        1, /* struct tc_hello; the reply comes after a commit of all that was received before */
    TC_MSG_CONFIG, /* a path, NUL-terminated: compile this config; the reply comes when its flat
                      file is in place */
    TC_MSG_PLAN, /* struct tc_plan_request: the reply comes when the plans file holds the objects */
    TC_MSG_STORE,  /* struct tc_store_request and a draft record, here or in the memfd; reply:
                      committed, reply.value = its record_id */
    TC_MSG_LOG,    /* struct tc_log_message */
    TC_MSG_REMOVE, /* struct tc_remove_request: keys or everything; reply.value = how many */
    TC_MSG_GC,     /* drop expired records, evict to the limit; reply.value = how many went */
    TC_MSG_PING,   /* nothing; reply.value = the service's pid */
    TC_MSG_QUIT,   /* the service leaves; replied before it does */
    TC_MSG_ATTACH, /* struct tc_attach: be alive as long as the process with this pid (cachectl run,
                      before exec) */
    TC_MSG_MISS,   /* struct tc_miss_message: a call that stored nothing; with a record_id: that
                      record is wrong and goes. Reply: committed */
    TC_MSG_TRANSACTION, /* struct tc_transaction_request; reply: committed, reply.value = how many
                           results; -ESTALE: there is no such transaction, nothing of it is kept */
    TC_MSG_LOCK, /* struct tc_lock_request: a key's lock, or a place in line for it; value: 0, it is
                    yours, else ask again, in so many ns or when page->locks[key] changed;
                    -EDEADLK, -ENOSPC */
    TC_MSG_UNLOCK, /* struct tc_lock_request: gives up what the call holds or waits for */
    TC_MSG_FETCH,  /* struct tc_fetch_request: from a far storage into the cache. 0: it lies there
                      now;  -ENOENT: the far one has nothing; else it can't be had now */
    TC_MSG_FAR,    /* struct tc_far_request: what tools want of far storages. The reply comes when
                      all is through that was to be handed on before */
    TC_MSG_REPLY = 64,
};

struct tc_message {
    uint16_t magic;
    uint8_t version;
    uint8_t type;   /* enum tc_message_type */
    uint32_t bytes; /* of the packet, this header included */
    uint64_t seq;
};

struct tc_reply {
    struct tc_message head;
    int32_t status;  /* 0 or a negative errno */
    uint32_t reason; /* enum tc_reason that explains it, 0 */
    uint64_t value;
};

struct tc_hello {
    struct tc_message head;
    uint32_t pid;     /* as the sender sees itself */
    uint32_t config;  /* 0, or the offset from the start of the message of the path of the config
                         whose far storages this process uses, NUL-terminated */
    char program[64]; /* basename, for `details` and the log */
    struct tc_file_id id; /* of the config */
};

struct tc_attach {
    struct tc_message head;
    uint32_t pid;
    uint32_t pad;
    uint64_t max_size_bytes; /* the limit of a service that has no config of its own; 0: it stays */
};

/* Which objects a target (or cachectl) wants planned. The config's flat file is named by (path, id)
 * as tc_config_name() says. */
struct tc_plan_request {
    struct tc_message head;
    struct tc_file_id config_id;
    uint32_t config_path; /* offset of a NUL-terminated path from the start of the message */
    uint32_t object_count;
    uint32_t objects; /* offset of struct tc_object_ref[], 8-byte aligned */
    uint32_t pad;
};
struct tc_object_ref {
    struct tc_file_id id;
    uint64_t function; /* whose source is wanted, too, in the object's own addresses; 0: none */
    uint32_t path;     /* offset of a NUL-terminated path from the start of the message */
    uint32_t pad;
};

enum tc_store_flag {
    TC_STORE_MEMFD = 1u << 0, /* the draft is in the attached memfd, from offset 0 */
    TC_STORE_REPLACE =
        1u << 1,              /* refresh: a refresh: counted apart, replaces like any other store */
    TC_STORE_STAGE = 1u << 2, /* for `transaction` alone, until that is committed; -ESTALE: there
                                 is no such transaction */
    TC_STORE_BEGINS = 1u << 3, /* with TC_STORE_STAGE: begin the transaction if there is none */
};
struct tc_store_request {
    struct tc_message head;
    uint64_t draft_bytes;
    uint32_t flags; /* enum tc_store_flag */
    uint32_t draft; /* offset of the draft from the start of the message (8-byte aligned), without
                       TC_STORE_MEMFD */
    uint32_t pid;
    uint32_t found; /* enum tc_found: why the call missed */
    int64_t expired_ns;
    uint32_t heads, head_bytes; /* struct tc_string_head, offset from the start of the message */
    char program[32];
    uint64_t transaction[2]; /* id, with TC_STORE_STAGE */
    uint64_t remote;         /* the far storage that gets it, too; 0: none */
};

struct tc_fetch_request {
    struct tc_message head;
    uint64_t remote; /* struct tc_storage */
    uint64_t key_low, key_high;
};

enum tc_far_op {
    TC_FAR_EXISTS = 1, /* 0: it is there; -ENOENT */
    TC_FAR_REMOVE,     /* 0: it is gone; -ENOENT: it wasn't there */
    TC_FAR_LIST,       /* into the memfd that comes along: struct tc_key[]; value = how many */
    TC_FAR_NUMBERS,    /* likewise: struct tc_far_numbers[], of all that the service has */
};
struct tc_far_request {
    struct tc_message head;
    uint64_t remote; /* but for TC_FAR_NUMBERS */
    uint64_t key_low, key_high;
    uint32_t op; /* enum tc_far_op */
    uint32_t pad;
};

enum tc_far_state {
    TC_FAR_AWAY = 0, /* its child process failed, and is begun again after a pause */
    TC_FAR_OPENING,
    TC_FAR_READY,
};
struct tc_far_numbers {
    uint64_t remote;
    uint32_t kind;  /* enum tc_storage_kind: TC_STORAGE_FAR or TC_STORAGE_LOCKS */
    uint32_t state; /* enum tc_far_state */
    int64_t since_ns;
    uint64_t found, missed, handed_on, removed;
    uint64_t granted, busy;          /* of a lock manager */
    uint64_t lost, errors, failures; /* failures: ends of its child process */
    uint64_t waiting, waiting_bytes; /* to be handed on */
    char name[64];
    char trouble[160]; /* the last one, as the log has it; "" */
};

/*
 * Results of a flow that is a transaction are staged: stored where only look-ups of that flow find
 * them (cache/record.h). They become records in one LMDB transaction, or go. A transaction belongs
 * to the process that began it and ends with it.
 */
enum tc_transaction_op {
    TC_TRANSACTION_COMMIT = 1,
    TC_TRANSACTION_MERGE, /* into `parent`, which must exist or is begun */
    TC_TRANSACTION_DROP,
};
struct tc_transaction_request {
    struct tc_message head;
    uint64_t transaction[2], parent[2];
    uint32_t op;     /* enum tc_transaction_op */
    uint32_t begins; /* TC_TRANSACTION_MERGE: begin the parent if there is none */
};

/* Followed by identity, material and text. */
struct tc_miss_message {
    struct tc_message head;
    struct tc_miss miss; /* `order` and `bytes` are the service's */
};

/* Isolation SERIALIZABLE, see cache/locks.h. The owner is a connection, a thread and a call. */
struct tc_lock_request {
    struct tc_message head;
    uint64_t key_low, key_high;
    uint64_t serial;  /* of the call, unique in the process */
    uint64_t stack;   /* where its frame is */
    int64_t hold_ns;  /* the lock lapses afterwards; more than 0 */
    uint32_t tid;     /* as the sender sees itself */
    uint32_t manager; /* enum tc_lock_manager_id */
    uint64_t remote;  /* TC_LOCKS_OF_PLUGIN: struct tc_storage */
};

struct tc_log_message {
    struct tc_message head;
    uint32_t level;  /* enum tc_log_level */
    uint32_t reason; /* enum tc_reason, 0 */
    uint32_t pid;
    uint32_t text_bytes; /* text follows, no NUL */
};

struct tc_remove_request {
    struct tc_message head;
    uint32_t everything; /* 1: all records */
    uint32_t key_count;  /* struct { u64 low, high; }[] follows, 8-byte aligned */
};

enum tc_log_level {
    TC_LOG_ERROR = 0,
    TC_LOG_WARN,
    TC_LOG_INFO,
    TC_LOG_DEBUG,
};

#endif
