/*
 * What messages mean for far storages (service/remote/). One thread.
 */
#ifndef TC_SERVICE_RPC_FAR_H
#define TC_SERVICE_RPC_FAR_H

#include "service/service.h"

void tc_far_init(struct tc_service *s);

/* struct tc_fetch_request in s->packet. */
int tc_far_handle(struct tc_service *s, struct tc_pending *p);

/* The config that a greeting names. */
void tc_far_greeted(struct tc_service *s, const char *config, const struct tc_file_id *id);

/* A result in s->packet, about to be stored: its far storage, if it has one, gets it, too. What is
 * staged isn't for others yet. */
void tc_far_hand_on(struct tc_service *s, const struct tc_store_request *m);

#endif
