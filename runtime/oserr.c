#include "runtime/oserr.h"

#include <errno.h>
#include <string.h>

enum mcq_error mcq_oserr_error(int os_errno)
{
    switch (os_errno) {
    case 0:
        return MCQ_OK;
    case EADDRINUSE:
        return MCQ_EADDRINUSE;
    case EACCES:
    case EPERM:
    case EROFS:
        return MCQ_EACCESS;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case ENODEV:
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case EINVAL:
        return MCQ_EADDR;
    case EMFILE:
    case ENFILE:
        return MCQ_ELIMIT;
    case ENOMEM:
    case ENOBUFS:
        return MCQ_ENOMEM;
    default:
        return MCQ_EOS;
    }
}

enum mcq_reason mcq_oserr_reason(int os_errno)
{
    switch (os_errno) {
    case 0:
        return MCQ_REASON_PEER_CLOSED;
    case ECONNRESET:
    case ECONNREFUSED:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case ENOENT: /* a unix path that nobody has bound */
        return MCQ_REASON_RESET;
    case ETIMEDOUT:
        return MCQ_REASON_TIMEOUT;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        return MCQ_REASON_LIMIT;
    case ECANCELED:
        return MCQ_REASON_LOCAL;
    default:
        return MCQ_REASON_OS;
    }
}

const char *mcq_oserr_text(int os_errno)
{
    const char *text = strerrordesc_np(os_errno);
    return text == NULL ? "unknown error" : text;
}
