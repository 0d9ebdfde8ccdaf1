// Who may call what: the token is checked before a byte of the body is read, the role against the method's `access` option.
import { type DescMethod, getOption, hasOption } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import { Role as RoleNumber, access } from '@millrace/gen/millrace/type/v1/access_pb.js';
import { type Role, type Verifier, setCaller } from './auth.ts';
import { refuse } from './errors.ts';

const ROLES: Partial<Record<RoleNumber, Role>> = { [RoleNumber.ADMIN]: 'admin', [RoleNumber.BUYER]: 'buyer', [RoleNumber.SERVICE]: 'service' };

/** `open` holds the services that need no token. A method without the option is refused to everybody. */
export function createAccess(verify: Verifier, open: ReadonlySet<string>): (context: HandlerContext) => Promise<void> {
  const allowed = new Map<DescMethod, readonly (Role | undefined)[]>();
  return async (context) => {
    if (open.has(context.service.typeName)) return;
    const caller = await verify(context.requestHeader.get('authorization'));
    let roles = allowed.get(context.method);
    if (!roles) allowed.set(context.method, (roles = rolesOf(context.method)));
    if (!roles.includes(caller.role)) throw refuse('PERMISSION_DENIED', `the role ${caller.role} may not call ${context.method.name}`);
    setCaller(context, caller);
  };
}

function rolesOf(method: DescMethod): (Role | undefined)[] {
  return hasOption(method, access) ? getOption(method, access).roles.map((role) => ROLES[role]) : [];
}
