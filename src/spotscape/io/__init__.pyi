from ._read_sections import read_sections as read_sections
