/** Why a token was refused. */
export class Failure {
  /** Envoy's number of the status, as `failed_status_in_metadata` has it. */
  readonly code: number;
  readonly text: string;
  /** 403 where the token is good for somebody else, else 401. */
  readonly httpStatus: 401 | 403;
  readonly details: string;

  constructor(code: number, text: string, httpStatus: 401 | 403 = 401) {
    this.code = code;
    this.text = text;
    this.httpStatus = httpStatus;
    this.details = denialDetails(text);
  }
}

/** `response_code_details` of a denial: without spaces, which separate the fields of a log line. */
export function denialDetails(text: string): string {
  return `jwt_authn_access_denied{${text.replaceAll(' ', '_')}}`;
}

/** Texts and numbers are Envoy's (its jwt_verify library), but for the last ones. */
export const FAILURE = {
  MISSING: new Failure(1, 'Jwt is missing'),
  NOT_YET_VALID: new Failure(2, 'Jwt not yet valid'),
  EXPIRED: new Failure(3, 'Jwt is expired'),
  FORMAT: new Failure(4, 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'),
  HEADER_BASE64: new Failure(5, 'Jwt header is an invalid Base64url encoded'),
  HEADER_JSON: new Failure(6, 'Jwt header is an invalid JSON'),
  ALG: new Failure(7, 'Jwt header [alg] field is required and must be a string'),
  ALG_UNSUPPORTED: new Failure(8, 'Jwt header [alg] is not supported'),
  KID: new Failure(9, 'Jwt header [kid] field is not a string'),
  PAYLOAD_BASE64: new Failure(10, 'Jwt payload is an invalid Base64url encoded'),
  PAYLOAD_JSON: new Failure(11, 'Jwt payload is an invalid JSON'),
  ISS: new Failure(12, 'Jwt payload [iss] field is not a string'),
  SUB: new Failure(13, 'Jwt payload [sub] field is not a string'),
  IAT_TYPE: new Failure(14, 'Jwt payload [iat] field is not an integer'),
  IAT_RANGE: new Failure(15, 'Jwt payload [iat] field is not a positive 64 bit integer'),
  NBF_TYPE: new Failure(16, 'Jwt payload [nbf] field is not an integer'),
  NBF_RANGE: new Failure(17, 'Jwt payload [nbf] field is not a positive 64 bit integer'),
  EXP_TYPE: new Failure(18, 'Jwt payload [exp] field is not an integer'),
  EXP_RANGE: new Failure(19, 'Jwt payload [exp] field is not a positive 64 bit integer'),
  JTI: new Failure(20, 'Jwt payload [jti] field is not a string'),
  AUD: new Failure(21, 'Jwt payload [aud] field is not a string or string list'),
  SIGNATURE_BASE64: new Failure(22, 'Jwt signature is an invalid Base64url encoded'),
  ED25519_LENGTH: new Failure(23, 'Jwt ED25519 signature is wrong length'),
  ISSUER: new Failure(24, 'Jwt issuer is not configured'),
  AUDIENCE: new Failure(25, 'Audiences in Jwt are not allowed', 403),
  VERIFICATION: new Failure(26, 'Jwt verification fails'),
  NO_KEY: new Failure(32, "Jwks doesn't have key to match kid or alg from Jwt"),
  JWKS_FETCH: new Failure(40, 'Jwks remote fetch is failed'),
  /** RFC 7515 §4.1.11: who does not understand an extension must refuse the token; nothing is understood here. */
  CRITICAL: new Failure(8, 'Jwt header [crit] is not supported'),
  /** A claim that `claim_to_headers` wants in a header and that no header may carry. */
  CLAIM_HEADER: new Failure(26, 'Jwt claim cannot be the value of a header'),
} as const;
