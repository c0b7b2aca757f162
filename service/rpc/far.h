/*
 * What messages mean for far storages (service/remote/). One thread.
 */
#ifndef TC_SERVICE_RPC_FAR_H
#define TC_SERVICE_RPC_FAR_H

#include "service/service.h"

void tc_far_init(struct tc_service *s);

/* struct tc_fetch_request in s->packet. */
int tc_far_handle_fetch(struct tc_service *s, struct tc_pending *p);
/* struct tc_far_request in s->packet. */
int tc_far_handle(struct tc_service *s, struct tc_pending *p);

/* The config that a greeting names. */
void tc_far_greeted(struct tc_service *s, const char *config, const struct tc_file_id *id);

/* A result in s->packet, about to be stored: its far storage, if it has one, gets it, too. */
void tc_far_hand_on(struct tc_service *s, const struct tc_store_request *m);
/* Likewise of one that is about to be staged, and isn't for others before its transaction lands. */
void tc_far_hand_on_later(struct tc_service *s, const struct tc_connection *c,
                          const struct tc_store_request *m);

#endif
