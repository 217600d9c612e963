/* The XML that S3 answers with: elements and texts, read one after the other. Not an XML parser for anything else.
 *
 * Read: elements (attributes are looked at only to find their end), texts, the five entities of XML 1.0 and characters by
 * number, one declaration at the beginning. Refused: DTDs, comments, CDATA and processing instructions (no S3 server sends
 * any), other entities, bytes that are no UTF-8, more than one root, elements more than 16 deep, and whatever is not well-formed. Nothing in it
 * recurses, and the work is linear in the document's length. */
#ifndef SLUICE_DRIVER_STORE_S3_XML_H
#define SLUICE_DRIVER_STORE_S3_XML_H

#include "base/mem.h"

enum { XML_DEPTH_MAX = 16 };

enum xml_event {
	XML_OPEN,  /* an element begins: name */
	XML_CLOSE, /* and ends: name, and its text where it had no elements within */
	XML_END,   /* of the document */
	XML_BAD,   /* why says what is wrong; the same from then on */
};

struct xml {
	struct str rest;
	struct arena *arena; /* texts with entities are put together there; all others are views */
	struct str name, text;
	size_t depth; /* of the element that began or ended: 1 for the root */
	const char *why;
	/* inside */
	struct str open[XML_DEPTH_MAX];
	size_t n_open;
	struct str so_far; /* text of the innermost element since its beginning */
	bool has_children, empty_element, begun, root_seen;
};

struct xml xml_begin(struct str document, struct arena *a);
enum xml_event xml_next(struct xml *x);

#endif
