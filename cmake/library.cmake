# The shared library `monocoque` and the static one `monocoque_static`, from the same objects.
set(MCQ_MAP ${PROJECT_SOURCE_DIR}/cmake/monocoque.map)

# Linked by name, not by imported target, so that the installed CMake package asks its user for
# nothing but the libraries themselves.
set(MCQ_LINK ${LIBURING_LIBRARIES} ${NUMA_LIBRARIES} ${HWLOC_LIBRARIES} ${LIBBPF_LIBRARIES}
    Threads::Threads)

function(mcq_library target type)
    add_library(${target} ${type} ${MCQ_OBJECTS})
    add_library(monocoque::${target} ALIAS ${target})
    target_include_directories(${target} INTERFACE
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_libraries(${target} PRIVATE ${MCQ_LINK})
    # Named, because before the first object exists there is nothing to derive it from.
    set_target_properties(${target} PROPERTIES OUTPUT_NAME monocoque LINKER_LANGUAGE C)
endfunction()

mcq_library(monocoque SHARED)
set_target_properties(monocoque PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0
                      LINK_DEPENDS ${MCQ_MAP})
target_link_options(monocoque PRIVATE -Wl,--version-script=${MCQ_MAP})
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # clang links no sanitizer runtime into a shared library, so only gcc can insist.
    target_link_options(monocoque PRIVATE -Wl,--no-undefined)
endif()

mcq_library(monocoque_static STATIC)
# The archive's only user of hwloc is linked because it is named here. A program that is linked with
# -static does without both: Debian has no static libudev, which hwloc needs.
target_link_options(monocoque_static INTERFACE -Wl,-u,mcq_topo_hwloc_load)
