from ._features import image_features as image_features
