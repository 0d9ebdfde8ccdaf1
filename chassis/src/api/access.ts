// Who may call what: the token is checked before a byte of the body is read, the role against the method's `access` option.
import { type DescMethod, getOption, hasOption } from '@bufbuild/protobuf';
import { Role as RoleNumber, access } from '@millrace/gen/millrace/type/v1/access_pb.js';
import type { Caller, Role, Verifier } from './auth.ts';
import { refuse } from './errors.ts';

const ROLES: Partial<Record<RoleNumber, Role>> = { [RoleNumber.ADMIN]: 'admin', [RoleNumber.BUYER]: 'buyer', [RoleNumber.SERVICE]: 'service' };

/** Answers who calls; nobody needs a token for the services in `open`. A method without the option is refused to everybody. */
export type Access = (method: DescMethod, authorization: string | null) => Promise<Caller | undefined>;

export function createAccess(verify: Verifier, open: ReadonlySet<string>): Access {
  const allowed = new Map<DescMethod, readonly (Role | undefined)[]>();
  return async (method, authorization) => {
    if (open.has(method.parent.typeName)) return undefined;
    const caller = await verify(authorization);
    let roles = allowed.get(method);
    if (!roles) allowed.set(method, (roles = rolesOf(method)));
    if (!roles.includes(caller.role)) throw refuse('PERMISSION_DENIED', `the role ${caller.role} may not call ${method.name}`);
    return caller;
  };
}

function rolesOf(method: DescMethod): (Role | undefined)[] {
  return hasOption(method, access) ? getOption(method, access).roles.map((role) => ROLES[role]) : [];
}
