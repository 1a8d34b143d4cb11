#include "runtime/oserr.h"

#include <errno.h>
#include <string.h>

#include "mem/detail.h"

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

enum mcq_error mcq_oserr_device(const char *device, int os_errno, struct mcq_detail *detail)
{
    if (os_errno == ENODEV)
        return mcq_detail_set(detail, MCQ_EADDR, os_errno,
                              "device: this host has no interface '%s': `ip link` lists those "
                              "there are",
                              device);
    return mcq_detail_set(detail, mcq_oserr_error(os_errno), os_errno,
                          "device: using '%s' alone is not allowed (%s): the program needs "
                          "CAP_NET_RAW (setcap cap_net_raw+ep)",
                          device, mcq_oserr_text(os_errno));
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
