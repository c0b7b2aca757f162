#include <errno.h>
#include <string.h>

#include "service/clock.h"
#include "service/service.h"

#define SAME_ERROR_MS 60000

void tc_batch_add(struct tc_service *s, struct tc_pending *p, uint64_t value)
{
    if (p == NULL)
        return;
    p->value = value;
    p->batch_next = s->batch;
    s->batch = p;
}

static void answer_all(struct tc_pending **list, int status, unsigned reason)
{
    while (*list != NULL) {
        struct tc_pending *p = *list;

        *list = p->batch_next;
        tc_pending_ready(p, status, reason, status < 0 ? 0 : p->value);
    }
}

static void log_error(struct tc_service *s, int error, unsigned reason)
{
    int64_t now = tc_monotonic_ms();

    if (error == s->last_store_error && now - s->store_error_ms < SAME_ERROR_MS)
        return;
    s->last_store_error = error;
    s->store_error_ms = now;
    tc_log_line(&s->log, TC_LOG_ERROR, reason, "records can't be stored: %s", strerror(-error));
}

static unsigned reason_of(int error)
{
    return error == -ENOSPC || error == -EDQUOT || error == -EFBIG ? TC_R_STORE_FULL
                                                                   : TC_R_NOT_STORED;
}

void tc_batch_failed(struct tc_service *s, int error, struct tc_pending *p)
{
    unsigned reason = reason_of(error);
    struct tc_failure f;

    /* Of one record alone; the others in the transaction are unharmed. */
    if (error == -EBADMSG) {
        tc_pending_ready(p, error, TC_R_NOT_STORED, 0);
        return;
    }
    if (error == -EFBIG) {
        tc_pending_ready(p, error, TC_R_TOO_LARGE, 0);
        return;
    }
    tc_store_abort(s->store);
    tc_pending_ready(p, error, reason, 0);
    answer_all(&s->batch, error, reason);
    if (s->upload_moved) {
        tc_pending_ready(tc_uploads_cancel_first(&s->uploads), error, reason, 0);
        s->stale_uploads = 1;
    }
    s->upload_moved = 0;
    log_error(s, error, reason);
    if (error == -EUCLEAN && tc_store_recover(s->store, &f) < 0) {
        tc_log_line(&s->log, TC_LOG_ERROR, f.reason, "%s: leaving", f.text);
        s->leaving = 1;
    }
}

static void step_upload(struct tc_service *s)
{
    struct tc_pending *p;
    int status, r;

    if (s->uploads.first == NULL)
        return;
    s->upload_moved = 1;
    r = tc_uploads_step(&s->uploads, s->store, &status, &p);
    if (r < 0) {
        tc_batch_failed(s, r, NULL);
    } else if (r == 1) {
        s->upload_moved = 0;
        if (status == 0)
            tc_batch_add(s, p, tc_store_last_record(s->store));
        else
            tc_pending_ready(p, status, status == -EFBIG ? TC_R_TOO_LARGE : TC_R_NOT_STORED, 0);
    }
}

static void evict(struct tc_service *s)
{
    uint64_t removed = 0;
    int r, more = 0;

    if (s->collecting == NULL && !s->more_to_evict && !tc_store_is_over_limit(s->store))
        return;
    r = tc_store_evict(s->store, s->collecting != NULL, &removed, &more);
    s->more_to_evict = more;
    s->collected += removed;
    if (r < 0) {
        s->more_to_evict = 0;
        answer_all(&s->collecting, r, reason_of(r));
        tc_batch_failed(s, r, NULL);
    } else if (!more && s->collecting != NULL) {
        while (s->collecting != NULL) {
            struct tc_pending *p = s->collecting;
            s->collecting = p->batch_next;
            tc_batch_add(s, p, s->collected);
        }
    }
    if (s->collecting == NULL)
        s->collected = 0;
}

void tc_batch_commit(struct tc_service *s)
{
    int r;

    step_upload(s);
    evict(s);
    r = tc_store_commit(s->store);
    if (r < 0) {
        tc_batch_failed(s, r, NULL);
        return;
    }
    s->upload_moved = 0;
    answer_all(&s->batch, 0, 0);
    if (s->stale_uploads && s->uploads.first == NULL)
        s->stale_uploads = tc_store_remove_uploads(s->store) < 0;
}

int tc_batch_has_work(const struct tc_service *s)
{
    return s->batch != NULL || s->uploads.first != NULL || s->more_to_evict ||
           s->collecting != NULL;
}

void tc_batch_cancel(struct tc_service *s)
{
    tc_uploads_free(&s->uploads);
    answer_all(&s->batch, -ECANCELED, TC_R_NO_SERVICE);
    answer_all(&s->hellos, -ECANCELED, TC_R_NO_SERVICE);
    answer_all(&s->collecting, -ECANCELED, TC_R_NO_SERVICE);
}
