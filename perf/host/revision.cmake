# Writes perf_revision.h, at each build, and touches it only when something has changed: which commit
# is built is known at build time, not when CMake was run.
# Variables: SOURCE, HEADER, BUILD_TYPE, COMPILER, FLAGS, LIBURING.
set(REVISION unknown)
find_program(GIT git)
if(GIT)
    execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse --short=12 HEAD
                    OUTPUT_VARIABLE commit RESULT_VARIABLE failed ERROR_QUIET
                    OUTPUT_STRIP_TRAILING_WHITESPACE)
    execute_process(COMMAND ${GIT} -C ${SOURCE} status --porcelain --untracked-files=no
                    OUTPUT_VARIABLE changes RESULT_VARIABLE unread ERROR_QUIET)
    if(NOT failed AND NOT unread)
        set(REVISION ${commit})
        if(changes)
            string(APPEND REVISION "-dirty")
        endif()
    endif()
endif()

set(text "/* Generated at each build. */\n")
foreach(name IN ITEMS REVISION BUILD_TYPE COMPILER FLAGS LIBURING)
    string(REPLACE "\\" "\\\\" quoted "${${name}}")
    string(REPLACE "\"" "\\\"" quoted "${quoted}")
    string(STRIP "${quoted}" quoted)
    string(APPEND text "#define PERF_${name} \"${quoted}\"\n")
endforeach()
set(before "")
if(EXISTS ${HEADER})
    file(READ ${HEADER} before)
endif()
if(NOT before STREQUAL text)
    file(WRITE ${HEADER} "${text}")
endif()
