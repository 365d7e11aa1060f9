from ._reference import NoveltyReference as NoveltyReference
