"""Law: low and high voltage of detector modules from a CAEN mainframe: one channel is one module's LV and HV."""
