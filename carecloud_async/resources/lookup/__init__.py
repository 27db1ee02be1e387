"""Operations by name or by path: any call and any list of the API, known to the SDK or not."""
