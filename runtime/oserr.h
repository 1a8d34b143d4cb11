/* Oserr: what an errno means to us. Pure, cold. */
#ifndef MCQ_RUNTIME_OSERR_H
#define MCQ_RUNTIME_OSERR_H

#include <monocoque/error.h>
#include <monocoque/event.h>

/* For a call that failed at setup: MCQ_EADDRINUSE, MCQ_EACCESS, MCQ_EADDR, MCQ_ELIMIT,
 * MCQ_ENOMEM, else MCQ_EOS. */
enum mcq_error mcq_oserr_error(int os_errno);
/* The same for SO_BINDTODEVICE, with its sentence. */
enum mcq_error mcq_oserr_device(const char *device, int os_errno, struct mcq_detail *detail);
/* For a connection that ended: RESET, TIMEOUT, LIMIT, else OS; 0 is PEER_CLOSED. */
enum mcq_reason mcq_oserr_reason(int os_errno);
/* The system's sentence for it. Never NULL. */
const char *mcq_oserr_text(int os_errno);

#endif
