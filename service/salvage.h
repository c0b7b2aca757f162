/*
 * After a store was set aside, a child process reads what is sound in it and sends it to the
 * service as any client would; what clients have stored meanwhile is newer and stays.
 */
#ifndef TC_SERVICE_SALVAGE_H
#define TC_SERVICE_SALVAGE_H

#include "service/service.h"

/* Begins if a store was set aside since it was asked last. Never fails; the log says how it went.
 */
void tc_salvage_start(struct tc_service *s);

#endif
