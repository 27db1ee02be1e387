"""A first look at a real project: which assumptions of the SDK hold there. Reading only, within bounds."""
