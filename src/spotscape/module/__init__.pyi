from ._aestetik import AestetikModule as AestetikModule
from ._aestetik_convolution import AestetikConvolutionModule as AestetikConvolutionModule
from ._sedr import SEDRModule as SEDRModule
from ._spotscape import SpotscapeModule as SpotscapeModule
