#include <monocoque/base.h>
#include <monocoque/error.h>

uint32_t mcq_version(void)
{
    return MCQ_VERSION_MAJOR << 16 | MCQ_VERSION_MINOR << 8 | MCQ_VERSION_PATCH;
}

const char *mcq_error_name(enum mcq_error code)
{
    switch (code) {
    case MCQ_OK:
        return "MCQ_OK";
    case MCQ_EAGAIN:
        return "MCQ_EAGAIN";
    case MCQ_EINVAL:
        return "MCQ_EINVAL";
    case MCQ_ENOTSUP:
        return "MCQ_ENOTSUP";
    case MCQ_ESTATE:
        return "MCQ_ESTATE";
    case MCQ_ESTALE:
        return "MCQ_ESTALE";
    case MCQ_ENOENT:
        return "MCQ_ENOENT";
    case MCQ_ELIMIT:
        return "MCQ_ELIMIT";
    case MCQ_ETHREAD:
        return "MCQ_ETHREAD";
    case MCQ_EADDR:
        return "MCQ_EADDR";
    case MCQ_EADDRINUSE:
        return "MCQ_EADDRINUSE";
    case MCQ_EACCESS:
        return "MCQ_EACCESS";
    case MCQ_ENOMEM:
        return "MCQ_ENOMEM";
    case MCQ_EKERNEL:
        return "MCQ_EKERNEL";
    case MCQ_EOS:
        return "MCQ_EOS";
    case MCQ_ETOOBIG:
        return "MCQ_ETOOBIG";
    }
    return "unknown error code";
}
