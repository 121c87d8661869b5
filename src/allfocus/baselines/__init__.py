"""The methods beside IFAN on the poster: JNB, EBDB and DMENet with deconvolution, and DPDNet. See registry.py."""
