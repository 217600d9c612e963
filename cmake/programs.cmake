# sluice, sluice-mock and libsluice.so; where they lie in the build folder and where `make install` puts them:
#
#   bin/sluice, bin/sluice-mock
#   lib/libsluice.so               the C core for other programs (Spark's Python side loads it)
#   lib/sluice/libduckdb.so        sluice looks for it at $SLUICE_DUCKDB, then at ../lib/sluice/ from its own folder,
#                                  then where the build found it (SLUICE_DUCKDB_BUILD_PATH)
set(programs "")

if(EXISTS ${CMAKE_SOURCE_DIR}/src/ui/main.c)
	add_executable(sluice src/ui/main.c)
	target_include_directories(sluice PRIVATE src)
	target_link_libraries(sluice PRIVATE ${libs})
	list(APPEND programs sluice)
endif()

# The bootstrap of a Lambda function: everything up to run/, nothing of ui/. One without the engine, which `make lambda` links
# statically from the same sources (deploy/lambda/): here for the tests. And one that finds libduckdb beside itself, for an image.
foreach(variant IN ITEMS sluice-lambda sluice-lambda-engine)
	add_executable(${variant} lambda/main.c)
	target_include_directories(${variant} PRIVATE src)
	target_link_libraries(${variant} PRIVATE ${libs_run})
	set_target_properties(${variant} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endforeach()
install(TARGETS sluice-lambda-engine RUNTIME DESTINATION lib/sluice)
target_compile_definitions(sluice-lambda-engine PRIVATE SLUICE_LAMBDA_ENGINE)

# The mock stands beside src/: its parts are a library so that unit tests can link them.
file(GLOB mock_sources CONFIGURE_DEPENDS mock/*.c)
list(FILTER mock_sources EXCLUDE REGEX "/main\\.c$")
set(mock_libs ${libs_config})
if(mock_sources)
	add_library(sluice_mock_parts STATIC ${mock_sources})
	target_include_directories(sluice_mock_parts PUBLIC src ${CMAKE_SOURCE_DIR})
	target_link_libraries(sluice_mock_parts PUBLIC ${libs_config})
	set(mock_libs sluice_mock_parts)
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/mock/main.c)
	add_executable(sluice-mock mock/main.c)
	target_link_libraries(sluice-mock PRIVATE ${mock_libs})
	list(APPEND programs sluice-mock)
endif()

# Everything from bytes to tables, nothing that talks to people: all objects, used or not.
set(objects "")
foreach(folder IN ITEMS base config contract driver format ingest prepare refine)
	if(TARGET sluice_${folder})
		list(APPEND objects $<TARGET_OBJECTS:sluice_${folder}>)
	endif()
endforeach()
if(objects)
	add_library(libsluice SHARED ${objects})
	set_target_properties(libsluice PROPERTIES OUTPUT_NAME sluice LINKER_LANGUAGE C
		LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
	# The archives add nothing after their own objects; what they link with comes along.
	target_link_libraries(libsluice PRIVATE ${libs_refine})
	target_link_options(libsluice PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/libsluice.map)
	set_target_properties(libsluice PROPERTIES LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/libsluice.map)
	install(TARGETS libsluice LIBRARY DESTINATION lib)
endif()

# bench/<name>.c: a program each, built only on request (tools/build release benches).
add_custom_target(benches)
file(GLOB bench_sources CONFIGURE_DEPENDS bench/*.c)
foreach(source IN LISTS bench_sources)
	get_filename_component(name ${source} NAME_WE)
	add_executable(bench_${name} EXCLUDE_FROM_ALL ${source})
	set_target_properties(bench_${name} PROPERTIES OUTPUT_NAME ${name}
		RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
	target_include_directories(bench_${name} PRIVATE src)
	target_link_libraries(bench_${name} PRIVATE ${libs})
	add_dependencies(benches bench_${name})
endforeach()

if(programs)
	set_target_properties(${programs} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin
		INSTALL_RPATH "$ORIGIN/../lib")
	install(TARGETS ${programs} RUNTIME DESTINATION bin)
endif()
install(FILES ${SLUICE_DEPS}/duckdb/libduckdb.so DESTINATION lib/sluice
	PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
