# Headers, libraries, pkg-config file and CMake package. Both packages find the prefix from their
# own place, so an installed tree may be moved.
include(CMakePackageConfigHelpers)

set(MCQ_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/monocoque)
set(MCQ_PC_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
install(TARGETS monocoque monocoque_static EXPORT monocoqueTargets)
install(EXPORT monocoqueTargets NAMESPACE monocoque:: DESTINATION ${MCQ_CMAKE_DIR})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/monocoqueConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/monocoqueConfig.cmake
                              INSTALL_DESTINATION ${MCQ_CMAKE_DIR} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may break what compiles against it.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/monocoqueConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/monocoqueConfig.cmake
              ${PROJECT_BINARY_DIR}/monocoqueConfigVersion.cmake
        DESTINATION ${MCQ_CMAKE_DIR})

file(RELATIVE_PATH MCQ_PC_PREFIX /${MCQ_PC_DIR} /)
string(REGEX REPLACE "/$" "" MCQ_PC_PREFIX "${MCQ_PC_PREFIX}")
configure_file(${PROJECT_SOURCE_DIR}/cmake/monocoque.pc.in ${PROJECT_BINARY_DIR}/monocoque.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/monocoque.pc DESTINATION ${MCQ_PC_DIR})
