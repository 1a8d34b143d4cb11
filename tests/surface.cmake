# What a user meets: each public header alone, the exported symbols, the installed packages.
enable_language(CXX)

set(c_flags -std=c11 -pedantic -Wconversion -Wsign-conversion -Wshadow -Wcast-qual
    -Wstrict-prototypes -Wundef)
set(cxx_flags -std=c++17 -pedantic -Wconversion -Wsign-conversion -Wcast-qual -Wundef)
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/include
     ${PROJECT_SOURCE_DIR}/include/*.h)
foreach(header IN LISTS headers)
    string(MAKE_C_IDENTIFIER ${header} id)
    set(text "#include <${header}>\n#include <${header}>\nint mcq_header_alone;\n")
    foreach(language IN ITEMS C CXX)
        string(TOLOWER ${language} suffix)
        set(source ${CMAKE_CURRENT_BINARY_DIR}/headers/${id}.${suffix})
        file(CONFIGURE OUTPUT ${source} CONTENT "${text}" @ONLY)
        mcq_add_test(header-${suffix}-${header} LABEL header
                     COMMAND ${CMAKE_${language}_COMPILER} ${${suffix}_flags} -Wall -Wextra -Werror
                             -fsyntax-only -I ${PROJECT_SOURCE_DIR}/include ${source})
    endforeach()
endforeach()

mcq_add_test(exports LABEL exports
             COMMAND ${PROJECT_SOURCE_DIR}/scripts/exports $<TARGET_FILE:monocoque>
                     $<TARGET_FILE:monocoque_static>)
mcq_add_test(consumer LABEL consumer
             COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/consumer/run ${CMAKE_CURRENT_BINARY_DIR}/consumer)

# The rings between shards, as spin sees them.
mcq_add_test(model LABEL model COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/model/run)
